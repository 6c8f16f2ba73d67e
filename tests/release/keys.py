"""Keys to sign with, made by another program."""

from __future__ import annotations

import subprocess
from pathlib import Path

CURVE = ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def key_pair(folder: Path, name: str = "key", kind: tuple[str, ...] = CURVE) -> tuple[Path, Path]:
    """A private key and its public key, PEM. ``kind``: algorithm and options, openssl's."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public

"""Keys to sign with, made by another program."""

from __future__ import annotations

import subprocess
from pathlib import Path


def key_pair(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """A private key and its public key, PEM."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    curve = "ec_paramgen_curve:P-256"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public

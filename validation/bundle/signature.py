"""The signature of a bundle, checked with the public key of whoever it is from."""

from __future__ import annotations

from pathlib import Path

from export_specs.bundle import SIGNATURE
from export_specs.foundation.errors import UserError


def signature_fault(folder: Path, key: Path) -> str:
    """What is wrong with the signature of ``folder``, or of a file under it; "" for nothing.

    Raises:
        UserError: ``key`` is no public key; model-signing is not installed.
    """
    try:
        from model_signing import hashing, verifying
    except ModuleNotFoundError as error:
        raise UserError("to check a signature, model-signing has to be installed: pip install 'fqss-deploy[release]'") from error
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except AttributeError as error:  # what the library says of RSA
        raise UserError(f"{key} is a public key of another kind than elliptic curves, and no bundle is signed with those") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{key} is no public key ({str(error).split('. ')[0]}): openssl ec -in KEY.pem -pubout makes one") from error
    folder = folder.resolve()
    if not (folder / SIGNATURE).is_file():
        return "the bundle is not signed"
    hashes = hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
    try:
        verifier.set_hashing_config(hashes).verify(folder, folder / SIGNATURE)
    except Exception as error:  # of a damaged one the library raises whatever its parser does
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"{SIGNATURE} is not this key's signature of these files ({reason})"
    return ""

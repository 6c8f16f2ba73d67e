"""Signing a bundle with a user's key, as OpenSSF's Model Signing does: ``model_signing verify key`` of anyone checks it."""

from __future__ import annotations

from pathlib import Path

from export_specs.bundle import SIGNATURE
from export_specs.foundation.errors import UserError

MAKE_ONE = "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"


def check_key(key: Path) -> None:
    """Find out, before anything is made, whether ``key`` can sign.

    Raises:
        UserError: it is no private key of the kind; model-signing is not installed.
    """
    _signer(key)


def sign(folder: Path, key: Path) -> None:
    """Write the signature over all files of ``folder`` into it. It is another one each time, as ECDSA has it."""
    from model_signing import hashing

    folder = folder.resolve()
    hashes = hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
    _signer(key).set_hashing_config(hashes).sign(folder, folder / SIGNATURE)


def _signer(key: Path):  # type: ignore[no-untyped-def]  # its type is known where model-signing is installed alone
    try:
        from model_signing import signing
    except ModuleNotFoundError as error:
        raise UserError("to sign, model-signing has to be installed: pip install 'fqss-deploy[release]'") from error
    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except AttributeError as error:  # what the library says of RSA
        raise UserError(f"{key} is a private key of another kind than elliptic curves: {MAKE_ONE} makes one") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{key} is no private key that signs ({str(error).split('. ')[0]}): {MAKE_ONE} makes one") from error

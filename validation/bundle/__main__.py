"""``fqss verify BUNDLE``: is it what was released, by whom, and does the file still compute what it did?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from export_specs.bundle import SIGNATURE
from export_specs.foundation.errors import UserError, run_command_line
from validation.bundle.digests import differences
from validation.bundle.golden import golden_check
from validation.bundle.opening import opened_bundle
from validation.bundle.signature import signature_fault

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Verification:
    """What was found; nothing is wrong where ``faults`` is empty."""

    files: int
    signature: str
    golden: str
    faults: list[str]


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `fqss release` made: its folder or its tar.")],
    key: Annotated[str, typer.Option(help="Public key (PEM) of whoever it should be from.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Check a release bundle: digests of all files, signature, golden vectors. Each file that is changed, missing or too many is named.

    Exit code 0 only if nothing is wrong. With --key a bundle without that key's signature is wrong.
    """
    with opened_bundle(bundle) as folder:
        found = verification(folder, Path(key) if key else None)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        typer.echo(f"files: {found.files}\nsignature: {found.signature}\ngolden vectors: {found.golden}")
    if found.faults:
        raise UserError(f"{bundle} is not as it was released: {'; '.join(found.faults)}")


def verification(folder: Path, key: Path | None) -> Verification:
    """Check a bundle's folder. The file is run only where nothing else is wrong.

    Raises:
        UserError: it is no bundle; ``key`` is no public key.
    """
    faults, files = differences(folder)
    signature = "none: the digests find damage, and do not prove who made it"
    if key is not None:
        fault = signature_fault(folder, key)
        signature = fault or "by this key, over all files"
        faults += [fault] if fault else []
    elif (folder / SIGNATURE).exists():
        signature = "there, not checked: give the public key of whoever made it with --key"
    if faults:
        return Verification(files, signature, "not run: see above", faults)
    golden, fault = golden_check(folder)
    return Verification(files, signature, golden, [fault] if fault else [])


if __name__ == "__main__":
    run_command_line(app)

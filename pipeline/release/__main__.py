"""``fqss release``: a bundle to publish, of a deployed folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export_specs.bundle import SUMS
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.source_version import product_version
from pipeline.release.bundle import write_bundle
from pipeline.release.deployed import read_deployed
from pipeline.release.signature import check_key
from pipeline.release.third_party import card_facts

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def release(
    folder: Annotated[Path, typer.Argument(help="A deployed folder, as dist/convtasnet-tflite-int8.")],
    key: Annotated[str, typer.Option(help="Private key (PEM, of an elliptic curve) that signs; without one the bundle says so.")] = "",
    card: Annotated[str, typer.Option(help="Your own model card, instead of the one of the weights that ship or one made here.")] = "",
    version: Annotated[str, typer.Option(help="Of the release; by default the product's.")] = "",
    out: Annotated[Path, typer.Option(help="Folder that gets NAME/ and NAME.tar.")] = Path("release"),
) -> None:
    """Make a bundle of a deployed folder: card, licences, bill of materials, provenance, digests, signature. Prints the tar.

    The same folder and date make the same bytes; the date is the commit's, or SOURCE_DATE_EPOCH.
    """
    if key:
        check_key(Path(key))
    found = read_deployed(folder, version or product_version(), bool(key))
    path = Path(card) if card else found.card
    own_card = None if path is None else _card(path)
    made = write_bundle(found, out, own_card, Path(key) if key else None, product_version())
    typer.echo(f"{found.name}: {found.sources}, {found.day}; {found.parity['verdict']['words']}", err=True)
    files = (out / found.name / SUMS).read_text().count("\n") + 1 + bool(key)
    typer.echo(f"{files} files, {'signed' if key else 'NOT SIGNED: nothing proves who made it (--key)'}", err=True)
    typer.echo(made)


def _card(path: Path) -> str:
    text = path.read_text()
    try:
        card_facts(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return text


if __name__ == "__main__":
    run_command_line(app)

"""``fqss COMMAND``: every command of the product. What a command needs is imported when it is called, so that a host without torch has the
others; its words stand here, so that help and completion import nothing."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.source_version import product_version

# name: (module of the command's typer application, its command there or "" for all of it, the extra it needs, what it does)
COMMANDS = {
    "deploy": ("pipeline.stages.__main__", "", "train", "From a float network to int8 files and their parity report, or up to one stage."),
    "separate": ("edge_runtime.__main__", "separate", "runtime", "Separate a recording of any length with a deployed file."),
    "live": ("edge_runtime.__main__", "live", "runtime", "Separate a stream of samples as it comes, from pipe to pipe."),
    "info": ("edge_runtime.__main__", "info", "runtime", "Signature, metadata, tensor types and operators of a .tflite or .onnx file."),
    "audit": ("validation.audit_command", "", "runtime", "Judge any TFLite file: float islands, operators that runtimes lack, grids."),
    "evaluate": ("fqss.evaluate", "", "train", "Deployed files on a whole test set, every mixture in its full length."),
    "improvement": ("pipeline.training.evaluate", "", "train", "How far weights improve mixtures, before anything is converted."),
    "study": ("pipeline.study.__main__", "", "train", "Networks that differ in one thing each, at equal budget: the paper's ablations."),
    "report": ("validation.__main__", "", "judge", "Judge, render, compare reports; list gates."),
    "release": ("pipeline.release.__main__", "", "train", "A bundle to publish: card, licences, bill of materials, provenance, signature."),
    "verify": ("validation.bundle.__main__", "", "runtime", "Check a release bundle: digests, signature, golden vectors."),
    "bench": ("validation.bench", "", "judge", "Time and memory of TFLite files side by side."),
    "models": ("fqss.models", "", "runtime", "The networks: what each is, size, weights, figures."),
    "doctor": ("fqss.doctor", "", "runtime", "What is installed, what each target needs and lacks, and how to get it."),
}


class DeferredCommand(TyperCommand):
    """A command that is known by name and words, and imported when it is parsed or run."""

    def __init__(self, name: str, module: str, part: str, extra: str, words: str) -> None:
        super().__init__(name, help=words, callback=None)
        self._module, self._part, self._extra = module, part, extra

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> Any:
        try:
            app = importlib.import_module(self._module).app
        except ModuleNotFoundError as error:
            raise UserError(
                f"fqss {self.name} needs {error.name}, which is not installed: pip install 'fqss-deploy[{self._extra}]'"
            ) from error
        command: Any = typer.main.get_command(app)
        return command.commands[self._part] if self._part else command


class DeferredCommands(TyperGroup):
    """The group of all commands, in the order of the table."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, words in COMMANDS.items():
            self.add_command(DeferredCommand(name, *words))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)


app = typer.Typer(name="fqss", cls=DeferredCommands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fqss-deploy {product_version()}")
        raise typer.Exit


@app.callback()
def main_options(
    wanted: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Int8 source separation networks for devices: make, run, judge and look at them."""


def run() -> None:
    """Run what the command line says, and exit."""
    run_command_line(app)

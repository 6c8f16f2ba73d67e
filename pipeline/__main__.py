"""``python -m pipeline``: single steps on files of your own. The stages of a deployment are run by make."""

from __future__ import annotations

import typer

from export_specs.foundation.errors import run_command_line
from pipeline.accounting.describe import describe_command
from pipeline.convert.command import convert_command
from pipeline.data.command import data_command

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command("data")(data_command)
app.command("convert")(convert_command)
app.command("describe")(describe_command)

if __name__ == "__main__":
    run_command_line(app)

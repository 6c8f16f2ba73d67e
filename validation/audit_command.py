"""``fqss audit FILE.tflite``: judge any TFLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export_specs.foundation.errors import UserError, printable
from validation.file_audit import FileAudit, RuntimeReport, audit_file

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
SHOWN_ISLANDS, SHOWN_OPERATORS = 5, 6


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(help="A .tflite file, whoever made it.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    probed: Annotated[bool, typer.Option("--load/--no-load", help="Load it into the runtimes that are installed.")] = True,
) -> None:
    """Judge any TFLite file: tensor types, float islands, custom operators, operators that runtimes lack, quantization parameters.

    Exit code 0 only for a file that is integer throughout, sound and without custom operators.
    """
    found = audit_file(file, probed)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        for line in audit_lines(found):
            typer.echo(printable(line))
    if not found.fully_integer:
        raise UserError(f"{file} is not fully integer: {_shortcomings(found)}")


def audit_lines(found: FileAudit) -> list[str]:
    """The audit in words."""
    lines = [f"{found.path}: {found.bytes:,} bytes", f"verdict: {found.verdict}{'' if found.sound else ', unsound'}"]
    lines += [f"input: {text}" for text in found.inputs] + [f"output: {text}" for text in found.outputs]
    lines += [f"tensors: {_counted(found.dtypes)}", f"operators: {_counted(found.ops)}"]
    if found.custom_ops:
        lines.append(f"custom operators: {', '.join(found.custom_ops)}")
    if found.islands:
        lines.append(f"float: {100 * found.float_share:.0f} % of the operators, in {len(found.islands)} islands")
        lines += [f"  island of {len(island)}: {', '.join(island[:SHOWN_OPERATORS])}{' …' if len(island) > SHOWN_OPERATORS else ''}"
                  for island in found.islands[:SHOWN_ISLANDS]]  # fmt: skip
    for finding in found.findings:
        more = " …" if finding.count > len(finding.places) else ""
        lines.append(f"{'error' if finding.error else 'note'}: {finding.what} ({finding.count}: {', '.join(finding.places)}{more})")
    return lines + [_runtime_line(runtime) for runtime in found.runtimes]


def _runtime_line(found: RuntimeReport) -> str:
    loads = {None: "not tried", True: "loads it", False: "does not load it"}[found.loads]
    loads = "by its list" if found.loads is None and not found.problem and found.left else loads
    problem = f" ({found.problem})" if found.problem else ""
    if not found.left:
        return f"{found.runtime}: {loads}{problem}" if found.loads is not None or found.problem else f"{found.runtime}: has every operator"
    count = sum(found.left.values())
    return f"{found.runtime}: {loads}{problem}; {count} of {found.operators} operators left: {_counted(found.left)}; {found.otherwise}"


def _shortcomings(found: FileAudit) -> str:
    reasons: list[str] = [] if found.verdict == "integer" else [found.verdict]
    reasons += sorted({finding.what for finding in found.findings if finding.error})
    reasons += [f"custom operators {', '.join(found.custom_ops)}"] if found.custom_ops else []
    return "; ".join(reasons)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())

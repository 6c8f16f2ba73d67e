"""``fqss deploy``: run a deployment up to a stage; what is done already is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from export_specs.foundation.errors import UserError, choice_error, run_command_line
from export_specs.foundation.progress import say
from export_specs.foundation.source_version import source_version
from export_specs.load import spec_sha256
from pipeline.package.distribution import check_place, write_distribution
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import Stage, StageRunner
from pipeline.stages.summary import raise_failure, summary_lines

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
UNTIL: dict[str, Callable[[Deployment], list[Stage | None]]] = {
    "train": lambda deployment: [deployment.trained_teacher()],
    "float": lambda deployment: [deployment.float_export],
    "qat": lambda deployment: [deployment.quantized],
    "export": lambda deployment: [deployment.onnx or deployment.float_export, deployment.stream_onnx],
    "convert": lambda deployment: [deployment.tflite, deployment.stream_tflite],
    "evaluation": lambda deployment: [deployment.evaluation],
    "package": lambda deployment: [deployment.package],
    "validate": lambda deployment: [deployment.report],
}


@app.command()
def run(
    stage: Annotated[
        str, typer.Argument(help="How far: train, float, qat, export, convert, evaluation, package, validate, or deploy for all of it.")
    ] = "deploy",
    model: Annotated[str, typer.Option(help="Model that ships with the product.")] = "convtasnet",
    target: Annotated[str, typer.Option(help="What to make: a target that ships, or your own (YAML).")] = "tflite-int8",
    profile: Annotated[
        str, typer.Option(help="shipped, ptq, quick or full; by default shipped, with your own data or weights quick.")
    ] = "",
    data: Annotated[str, typer.Option(help="By default embedded, or for music embedded-stems; docs/settings.md has all.")] = "",
    checkpoint: Annotated[str, typer.Option(help="Your own float weights.")] = "",
    spec: Annotated[str, typer.Option(help="Your own spec (YAML); instead of --model.")] = "",
    segment: Annotated[str, typer.Option(help="Seconds of a segment, by the memory there is; by default the model's own.")] = "",
    out: Annotated[str, typer.Option(help="Folder of the result; dist/<model>-<target> by default, and -<segment>s.")] = "",
) -> None:
    """Make everything up to STAGE for the chosen model and target."""
    if stage != "deploy" and stage not in UNTIL:
        raise choice_error("stage", stage, ["deploy", *UNTIL])
    choice = Choice.of(model, target, profile, data, checkpoint, spec, segment)
    deployment, runner = Deployment(choice), StageRunner(Path("build"), say)
    # a float network is for any target
    first = [] if stage == "train" else [found for found in (deployment.dry_conversion, deployment.target_gates) if found is not None]
    wanted = deployment.everything if stage == "deploy" else [found for found in UNTIL[stage](deployment) if found is not None]
    if not wanted:
        raise UserError(f"target '{choice.target.name}' has no stage '{stage}'")
    runner.expect(*first, *wanted)
    for found in first:
        runner.run(found)
    if stage != "deploy":
        for found in wanted:
            typer.echo(runner.run(found))
        if stage == "validate":
            report = runner.run(deployment.report) / "report"
            _tell(report, report)
        return
    _deploy(
        choice,
        deployment,
        runner,
        Path(out) if out else Path("dist") / f"{choice.spec.name}-{choice.target.name}{f'-{segment}s' if segment else ''}",
    )


def _deploy(choice: Choice, deployment: Deployment, runner: StageRunner, out: Path) -> None:
    check_place(out)
    report = runner.run(deployment.report) / "report"
    made = (deployment.tflite, deployment.onnx, deployment.stream_tflite, deployment.stream_onnx)
    artefacts = {name: runner.run(stage) / name for stage in made if stage is not None for name in stage.results}
    if deployment.package is not None:
        artefacts |= {name: runner.run(deployment.package) / name for name in runner.digests(deployment.package)}
    parents = {"float weights": runner.digests(deployment.teacher), "evaluation data": _manifests(runner.digests(deployment.evaluation))}
    if deployment.quantized is not None:
        parents["quantized weights"] = runner.digests(deployment.quantized)
    facts: dict[str, Any] = {
        "command": choice.command,
        "settings": dict(choice.settings),
        "source": asdict(source_version()),
        "spec_sha256": spec_sha256(choice.spec),
        "target_sha256": spec_sha256(choice.target),
        "parents": parents,
        "versions": {name: version.partition("+")[0] for name, version in runner.libraries.items()},  # without the build: +cpu
    }
    written = write_distribution(out, artefacts, report, facts)
    say(f"{'made' if written else 'up to date'}: {out}")
    _tell(report, out)


def _manifests(digests: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name.endswith("manifest.json")}


def _tell(report: Path, place: Path) -> None:
    """What the report came to, whose files lie in ``place``; exit code 1 when a gate failed."""
    parity = json.loads((report / "parity.json").read_text())
    for line in summary_lines(parity, place):
        typer.echo(line)
    raise_failure(parity, place)


if __name__ == "__main__":
    run_command_line(app)

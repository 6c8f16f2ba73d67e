"""``python -m tests.mutate [FILE ...]``: how many small faults, put into a file one at a time, its fast tests notice.

mutmut makes the faults, in a copy of the sources, and runs for each the tests that reach it. A file of many faults takes long:
``--digits 037`` tries those whose number ends with one of the digits, a sample that is the same every time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export_specs.foundation.errors import UserError, run_command_line

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"
BAR = 85
PACKAGES = ("pipeline", "export_specs", "edge_runtime", "validation", "fqss")
STAGES = ("tests/stages/test_judged.py", "tests/stages/test_deployment.py", "tests/stages/test_choice.py")
TRAINING = ("tests/training/test_training.py", "tests/training/test_learning_rate.py", "tests/training/test_job.py")
GATES, THEORY, METRICS = "tests/validation/gates", "tests/validation/test_theory.py", "tests/validation/test_metrics.py"
ROOMS = {  # the first that holds a file
    "validation/gates": GATES,
    "validation": "tests/validation",
    "pipeline/stages": "tests/stages",
    "pipeline/training": "tests/training",
}
TESTS: dict[str, tuple[str, ...]] = {  # of files that need fewer tests than their room has, or others
    "pipeline/stages/choice.py": ("tests/stages/test_choice.py", "tests/stages/test_judged.py"),
    "pipeline/stages/data_choice.py": ("tests/stages/test_data_choice.py",),
    "pipeline/stages/deployment.py": STAGES,
    "pipeline/stages/dry_conversion.py": ("tests/stages/test_dry_conversion.py",),
    "pipeline/stages/graph.py": ("tests/stages/test_graph.py",),
    "pipeline/stages/report.py": STAGES,
    "pipeline/stages/shipped_weights.py": STAGES,
    "pipeline/stages/target_gates.py": ("tests/stages/test_target_gates.py",),
    "pipeline/stages/teacher_weights.py": ("tests/stages/test_teacher_weights.py",),
    "pipeline/training/job.py": ("tests/training/test_job.py",),
    "pipeline/training/learning_rate.py": ("tests/training/test_learning_rate.py",),
    "pipeline/training/loop.py": (*TRAINING, "tests/training/test_music.py"),
    "pipeline/training/qat.py": ("tests/training/test_qat.py", "tests/training/test_order_of_quantization.py"),
    "pipeline/training/teacher.py": TRAINING,
    "validation/bootstrap.py": (METRICS, GATES),
    "validation/gate_registry.py": ("tests/validation/test_gate_registry.py",),
    "validation/gate_result.py": (GATES,),
    "validation/loss_limits.py": (GATES,),
    "validation/metrics.py": (METRICS,),
    "validation/permutation.py": (METRICS,),
    "validation/sdr_bins.py": (THEORY, GATES),
    "validation/theory.py": (THEORY,),
}
OUTCOMES = {0: "survived", 1: "killed", 3: "killed", 33: "without tests", 5: "without tests", 34: "skipped"}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    files: Annotated[list[str] | None, typer.Argument(help="Which to mutate; by default stages, training and judge.")] = None,
    digits: Annotated[str, typer.Option(help="Last digits of the faults to try; all by default.")] = "",
) -> None:
    """Mutate files one after the other and tell the share of faults that tests notice. Exit code 1 below the bar."""
    console, counts = Console(), Counter[str]()
    table = Table(title=f"faults noticed{f', those ending with one of {digits}' if digits else ''}")
    for column in ("file", "tried", "noticed", "%", "survivors"):
        table.add_column(column)
    for file in files or mutated_files():
        outcomes = mutate(file, digits)
        counts.update(outcomes.values())
        table.add_row(
            file, *_row(Counter(outcomes.values())), " ".join(_short(name) for name, found in outcomes.items() if found != "killed")
        )
    table.add_row("all", *_row(counts), "")
    console.print(table)
    score = _score(counts)
    if score < BAR:
        raise UserError(f"tests notice {score:.1f} % of the faults; the bar is {BAR} %")


def mutated_files() -> list[str]:
    """Every module of the rooms but the programs."""
    modules = {str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return sorted(module for module in modules if not module.endswith("__.py"))


def covering_tests(file: str) -> tuple[str, ...]:
    """The fast tests of a file: named for it, or all of its room."""
    return TESTS.get(file) or next((tests,) for room, tests in ROOMS.items() if file.startswith(f"{room}/"))


def mutate(file: str, digits: str) -> dict[str, str]:
    """What became of each fault in a file, by mutmut's name of it: killed, survived or without tests.

    Raises:
        UserError: no such file; mutmut could not run, and its last lines.
    """
    if not (ROOT / file).is_file():
        raise UserError(f"there is no file {file}")
    place = BUILD / file.replace("/", "-")
    shutil.rmtree(place, ignore_errors=True)
    for folder in (*PACKAGES, "tests", "data", "docs", "requirements"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "README.md"):
        shutil.copyfile(ROOT / name, place / name)
    settings = {
        "source_paths": PACKAGES,
        "only_mutate": (file,),
        "also_copy": ("data", "docs", "requirements", "Makefile", "README.md"),
        "pytest_add_cli_args_test_selection": covering_tests(file),
    }
    lines = [f"{name} = {json.dumps(list(value))}" for name, value in settings.items()]
    (place / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + "\n[tool.mutmut]\n" + "\n".join(lines) + "\n")
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *(f"*__mutmut_*{digit}" for digit in digits)]
    with (place / "log").open("w") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        subprocess.run(command, cwd=place, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    found = place / "mutants" / f"{file}.meta"
    codes: dict[str, int | None] = json.loads(found.read_text())["exit_code_by_key"] if found.is_file() else {}
    tried = {name: OUTCOMES.get(code, "killed") for name, code in codes.items() if code is not None}  # others: out of time
    if not tried:
        raise UserError(f"mutmut tried nothing in {file}: {_last_lines(place / 'log')}")
    return {name: outcome for name, outcome in tried.items() if outcome != "skipped"}


def _row(counts: Counter[str]) -> Sequence[str]:
    return str(counts.total()), str(counts["killed"]), f"{_score(counts):.1f}"


def _score(counts: Counter[str]) -> float:
    return 100 * counts["killed"] / max(1, counts.total())


def _short(name: str) -> str:
    return name.rpartition(".")[2].removeprefix("x_").replace("__mutmut_", ":")


def _last_lines(log: Path) -> str:
    return " | ".join(log.read_text().replace("\r", "\n").strip().splitlines()[-6:])


if __name__ == "__main__":
    run_command_line(app)

"""``python -m pipeline.training.job JOB.json``: one training from a file that says all of it.

A stage trains in its own process where one is asked for. Where several are, each of them starts from this file: none may start the
whole deployment again, as it would wait for the lock of the stage that waits for it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from export_specs.foundation.atomic import write_bytes, write_text
from export_specs.foundation.child_process import end_with_parent, run_child
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.progress import handed_over
from export_specs.schema import Hardware, ModelSpec, Profile
from export_specs.strict import Strict
from pipeline.data.sources import training_files
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import train_quantized
from pipeline.training.teacher import train_teacher

FILE, FOLDER = "job.json", "processes"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Job(Strict):
    """A training of the float network, or with ``recipe`` and ``profile`` the quantization-aware one.

    ``data``: the data set, as DATA names it. ``weights``: float weights to start from, which quantization-aware training needs.
    ``quantized``: the quantized network's state that it goes on from, if it has been trained before.
    """

    spec: ModelSpec
    data: str
    weights: Path | None = None
    quantized: Path | None = None
    recipe: Recipe | None = None
    profile: Profile | None = None

    @property
    def hardware(self) -> Hardware:
        """What it runs on."""
        return self.spec.training if self.profile is None else self.spec.profiles[self.profile]


def run_job(job: Job, folder: Path) -> Path:
    """Train in as many processes as the spec asks for; an interrupted training goes on.

    Returns:
        The path of the weights in ``folder``: ``float.safetensors`` or ``quantized.safetensors``.

    Raises:
        UserError: what the training raises; a process ended; the job needs further computers, on which it has to be started.
    """
    if job.hardware.processes == 1:
        return _train(job, folder)
    place = folder / FOLDER
    made = place / ("float.safetensors" if job.recipe is None else "quantized.safetensors")
    if not made.is_file():
        write_text(place / FILE, job.model_dump_json(indent=1))
        command = ["-m", "pipeline.training.job", str(place / FILE)]
        if job.hardware.num_nodes > 1:
            launcher = f"torchrun --nnodes={job.hardware.num_nodes} --nproc-per-node={job.hardware.devices}"
            raise UserError(
                f"this training needs {job.hardware.num_nodes} computers: run `{launcher} --node-rank=NUMBER --master-addr=FIRST "
                f"--master-port=29500 {' '.join(command)}` on each of them, NUMBER from 0 on, in this folder, and then this command again "
                "(docs/cluster.md)"
            )
        with handed_over():
            code = run_child([sys.executable, *command]).returncode
        if code or not made.is_file():
            raise UserError(f"the training in {job.hardware.devices} processes ended with exit code {code}; see above")
    write_bytes(folder / made.name, made.read_bytes())
    return folder / made.name


def _train(job: Job, folder: Path) -> Path:
    spec = job.spec
    train, dev = training_files(job.data, spec.sample_rate, spec.task)
    if job.recipe is None:
        return train_teacher(spec, train, dev, folder, workers=1, start=job.weights)
    if job.weights is None or job.profile is None:
        raise UserError("quantization-aware training needs float weights and a profile")
    return train_quantized(spec, job.recipe, spec.profiles[job.profile], job.weights, train, dev, folder, start=job.quantized)


@app.command()
def main(file: Annotated[Path, typer.Argument(help="What run_job has written.")]) -> None:
    """One process of a training; the weights go beside FILE."""
    end_with_parent()  # the first process starts the others, and a killed one would leave them waiting
    _train(Job.model_validate_json(file.read_bytes()), file.parent)


if __name__ == "__main__":
    run_command_line(app)

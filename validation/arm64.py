"""``python -m validation.arm64``: do files compute the same on an emulated aarch64 processor as on this computer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge_runtime.arm64_engine import Arm64Engine
from edge_runtime.arm64_prefix import PROCESSORS, make_prefix
from edge_runtime.model_file import read_model
from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.signature import Pcm
from export_specs.foundation.errors import UserError, choice_error, run_command_line
from export_specs.foundation.progress import tracked
from export_specs.schema import EMULATED, EMULATION, runs_onnx_files
from validation.evaluation_set import read_evaluation_set
from validation.layers import first_segments
from validation.metrics import sqnr

REFERENCE = "litert-ref"  # must be the same everywhere
HEADER = ("runtime", "processor", "clips", "samples", "differing", "clips with any", "largest", "SQNR, dB", "first tensor that differs")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Agreement:
    """A runtime on an emulated processor against the same runtime here.

    ``differing`` of ``samples`` output samples do, in ``unlike`` of ``clips``, by ``largest`` codes of int16 at most; ``sqnr`` in dB
    over all clips. ``first`` says where it begins in the first such clip, "" where nothing differs.
    """

    runtime: str
    processor: str
    clips: int
    samples: int
    differing: int
    unlike: int
    largest: int
    sqnr: float
    first: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of HEADER in words."""
        numbers = (f"{self.clips}", f"{self.samples:,}", f"{self.differing:,}", f"{self.unlike}", f"{self.largest}")
        return (self.runtime, self.processor, *numbers, f"{self.sqnr:.1f}" if self.differing else "—", self.first or "—")


def agreement(path: Path, runtime: str, processor: str, clips: Sequence[Pcm], sample_rate: int) -> Agreement:
    """Run a file on ``clips``, int16 segments [T] or [A, T] at level, in a runtime (litert-ref, …) here and on an emulated processor.

    Raises:
        UserError: the runtime does not run the file here or there.
    """
    here = open_runtime(path, runtime, sample_rate=sample_rate)
    there = FileRuntime(f"{EMULATION}{runtime}", read_model(path), lambda file: Arm64Engine(file, runtime, cpu=processor), sample_rate)
    expected = [here.run(clip) for clip in clips]
    found = [there.run(clip) for clip in tracked(clips, f"{path.name}: {runtime} on {processor}, clip")]
    unlike = [number for number, pair in enumerate(zip(expected, found, strict=True)) if not np.array_equal(*pair)]
    wanted, given = np.stack(expected).astype(np.int64), np.stack(found).astype(np.int64)
    return Agreement(
        runtime=runtime,
        processor=processor,
        clips=len(clips),
        samples=wanted.size,
        differing=int(np.count_nonzero(wanted != given)),
        unlike=len(unlike),
        largest=int(np.abs(wanted - given).max()),
        sqnr=sqnr(wanted.astype(np.float64), given.astype(np.float64)),
        first=_first(here, there, clips[unlike[0]]) if unlike else "",
    )


def _first(here: FileRuntime, there: FileRuntime, clip: Pcm) -> str:
    """The first tensor, in the order of the file, that differs on a clip. Tensors that are given out may end a fusion of operators."""
    (_, expected), (_, found) = here.run_with_taps(clip), there.run_with_taps(clip)
    for name, codes in expected.items():
        if count := int(np.count_nonzero(codes != found[name])):
            return f"'{name}', {count:,} of {codes.size:,} values"
    return "none, when all tensors are given out"


def table(rows: Sequence[Agreement]) -> list[str]:
    """The rows below a header, in aligned columns."""
    lines = [HEADER, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(help="Files of one network: .tflite, .onnx or both.")],
    clips: Annotated[Path, typer.Option(help="An evaluation set: the folder of its manifest.json.")],
    mixtures: Annotated[int, typer.Option(min=1, help="So many of its mixtures, evenly spread, a segment of each.")] = 4,
    cpu: Annotated[str, typer.Option(help=f"{', '.join(PROCESSORS)}, or all.")] = "all",
) -> None:
    """Run files here and on emulated aarch64 processors: LiteRT's reference kernels, XNNPACK, ONNX Runtime. Compare the samples.

    Exit code 1 where LiteRT's reference kernels differ at all.
    """
    if cpu not in (*PROCESSORS, "all"):
        raise choice_error("emulated processor", cpu, [*PROCESSORS, "all"])
    make_prefix()
    data = read_evaluation_set(clips, mixtures)
    rows = []
    for path in files:
        file = read_model(path)
        rate = data.manifest.sample_rate
        segments = first_segments(data.items, mixtures, open_runtime(path, sample_rate=rate).segment_samples, rate)
        for runtime in (name.removeprefix(EMULATION) for name in EMULATED if runs_onnx_files(name) == (file.format == "onnx")):
            rows += [agreement(path, runtime, name, segments, rate) for name in PROCESSORS if cpu in (name, "all")]
    for line in table(rows):
        typer.echo(line)
    wrong = [f"{row.processor} in {row.differing} samples" for row in rows if row.runtime == REFERENCE and row.differing]
    if wrong:
        raise UserError(f"LiteRT's reference kernels compute something else on {', '.join(wrong)}")


if __name__ == "__main__":
    run_command_line(app)

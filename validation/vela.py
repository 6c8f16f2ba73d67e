"""Arm's compiler for Ethos-U NPUs, where it is installed: what it estimates of a file, and what it leaves to the CPU.

Estimates, of the NPU alone: an operator on the CPU counts no cycle, so the list of those belongs to every figure.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

from pydantic import Field

from edge_runtime.tflite_file import operators_of
from export_specs.foundation.child_process import run_child
from export_specs.schema import Npu
from validation.record import Number, Record

CONFIGURATIONS: dict[Npu, tuple[str, str]] = {  # system configuration and memory mode of Vela's own Arm/vela.ini
    "u55-128": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "u55-256": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "u65-256": ("Ethos_U65_High_End", "Dedicated_Sram"),
    "u85-256": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram"),
}
ON_THE_NPU = "CUSTOM"  # what Vela makes of all that it takes
INSTALL = "pip install ethos-u-vela"
PATIENCE = 900  # seconds


class NpuEstimate(Record):
    """Of one segment on one NPU. ``cpu_operators`` are those that the compiled file leaves to the CPU, by name; ``problem`` tells why
    there is no estimate, and the others are None or empty then."""

    npu: str
    problem: str | None = None
    cycles: int | None = None
    ms_per_second: Number | None = None
    sram_bytes: int | None = None
    flash_bytes: int | None = None
    file_bytes: int | None = None
    cpu_operators: dict[str, int] = Field(default={})


def vela_program() -> str | None:
    """Vela, if it is on the path."""
    return shutil.which("vela")


def estimate(path: Path, npu: Npu, program: str, seconds: float) -> NpuEstimate:
    """Compile a TFLite file of segments of ``seconds`` for one NPU."""
    system, memory = CONFIGURATIONS[npu]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ["--accelerator-config", f"ethos-{npu}", "--config", "Arm/vela.ini", "--system-config", system, "--memory-mode", memory]
        command = [program, str(path), *options, "--output-dir", str(folder)]
        try:
            done = run_child(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return NpuEstimate(npu=npu, problem=f"Vela gave no result in {PATIENCE} s")
        summaries, compiled = list(folder.glob("*_summary_*.csv")), list(folder.glob("*_vela.tflite"))
        if done.returncode or not summaries or not compiled:
            lines = done.stdout.strip().splitlines()
            return NpuEstimate(npu=npu, problem=f"Vela ended with {done.returncode}: {lines[-1] if lines else 'no message'}")
        found = list(csv.DictReader(summaries[0].read_text().splitlines()))[-1]
        content = compiled[0].read_bytes()
    kibibyte = 1024
    return NpuEstimate(
        npu=npu,
        cycles=round(float(found["cycles_total"])),
        ms_per_second=1000 * float(found["inference_time"]) / seconds,
        sram_bytes=round(kibibyte * float(found["sram_memory_used"])),
        flash_bytes=round(kibibyte * float(found["off_chip_flash_memory_used"])),
        file_bytes=len(content),
        cpu_operators={name: count for name, count in sorted(operators_of(content).items()) if not name.startswith(ON_THE_NPU)},
    )


def estimates(path: Path, npus: list[Npu], seconds: float) -> list[NpuEstimate]:
    """For each NPU; without Vela each has the problem that it was not run, and how to install it."""
    program = vela_program()
    if program is None:
        return [NpuEstimate(npu=npu, problem=f"not run: there is no vela here ({INSTALL})") for npu in npus]
    return [estimate(path, npu, program, seconds) for npu in npus]

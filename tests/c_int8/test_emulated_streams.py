"""Networks that stream, in the emulator: every sample, the memory of a stream, and instructions."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from export_specs.load import load_model, load_target
from export_specs.schema import ModelSpec
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.package.c_int8.package import write_c_package
from tests.export.test_streaming import whole_model

LIMITS = {  # bytes of RAM, and M ticks a second of audio; with norm: frozen
    ("convtasnet-tiny", "cortex-m4"): (128_000, 150),
    ("convtasnet-causal", "cortex-m55"): (160_000, 135),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cpu"), LIMITS)
def test_a_network_streams_on_a_microcontroller(name: str, cpu: str, tmp_path: Path) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here (Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)")
    fields = load_model(name).model_dump()
    spec = ModelSpec.model_validate({**fields, "network": {**fields["network"], "norm": "frozen"}})
    assert spec.streaming is not None
    whole = whole_model(spec)
    files = []
    for stem, model in (("model", whole), ("model.stream", to_streaming(whole, spec.streaming.hop_frames))):
        onnx.save(model, tmp_path / f"{stem}.onnx")
        files.append(convert(tmp_path / f"{stem}.onnx", tmp_path / f"{stem}.tflite", load_target("c-int8").allowed_ops).path)
    noise = np.random.default_rng(0).normal(0, 6000, spec.segment_samples)
    write_c_package(files[0], [[np.clip(noise, -32768, 32767).astype(np.int16)]], tmp_path / "c", files[1])
    done = subprocess.run(["make", "-s", "-C", str(tmp_path / "c"), "emulate", f"CPU={cpu}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"stream: pass, \d+ steps, (\d+) bytes of RAM, ([\d.]+) M ticks", done.stdout)
    assert found is not None, done.stdout
    ram, ticks = LIMITS[name, cpu]
    assert int(found[1]) <= ram
    assert float(found[2]) <= ticks

"""The TFLite files a user gets without this product: onnx2tf's float one, and its post-training int8 one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert import schema_py_generated as schema

from export_specs.file_metadata import ENTRY, FileMetadata, metadata_of_onnx
from export_specs.foundation.atomic import write_bytes
from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-onnx2tf" / "bin" / "python"
PROGRAM = Path(__file__).with_name("onnx2tf_program.py")


class ConversionRefusedError(UserError):
    """onnx2tf ran and did not convert the network; the last line is its own reason."""


def convert_with_onnx2tf(float_onnx: Path, out: Path, calibration: npt.NDArray[np.float32] | None = None) -> Path:
    """Convert a float ONNX file (``pipeline.export.float_onnx``) by onnx2tf, in its own environment.

    Args:
        out: written whole or not at all; it gets the ONNX file's metadata.
        calibration: mixtures [N, T] or [N, T, A] in units of full scale for full-integer post-training quantization (int8 in and out);
            None for the float32 file.

    Raises:
        UserError: the environment is not there, or a signal or a full disk ended onnx2tf. ConversionRefusedError: onnx2tf failed; its last
            lines are told.
    """
    if not PYTHON.is_file():
        raise UserError("this needs onnx2tf and tensorflow in .venv-onnx2tf, which is not there: run `make onnx2tf` once, with the network")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(float_onnx, folder / "network.onnx")  # onnx2tf changes its input in place
        command = [str(PYTHON), str(PROGRAM), "network.onnx", "network.tflite"]
        if calibration is not None:
            np.save(folder / "mixtures.npy", calibration.astype(np.float32))
            command += ["--calibration", "mixtures.npy"]
        result = run_child(command, cwd=folder, capture_output=True, text=True)
        if result.returncode or not (folder / "network.tflite").is_file():
            output = result.stdout + result.stderr
            said = "\n".join(output.strip().splitlines()[-8:])
            by_machine = result.returncode < 0 or os.strerror(errno.ENOSPC) in output  # below 0: a signal, such as for lack of memory
            error = UserError if by_machine else ConversionRefusedError
            raise error(f"onnx2tf could not convert {float_onnx} (exit code {result.returncode}):\n{said}")
        content = (folder / "network.tflite").read_bytes()
    properties = onnx.load(float_onnx, load_external_data=False).metadata_props
    metadata = metadata_of_onnx({entry.key: entry.value for entry in properties}, float_onnx)
    write_bytes(out, content if metadata is None else with_metadata(content, metadata))
    return out


def with_metadata(content: bytes, metadata: FileMetadata) -> bytes:
    """A copy of a TFLite file that carries ``metadata``; its tensors and ops are untouched."""
    model: Any = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata.to_json().encode(), np.uint8)
    entry.name, entry.buffer = ENTRY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

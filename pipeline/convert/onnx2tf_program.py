"""A program for the environment ``.venv-onnx2tf`` (never imported): ONNX to float or post-training int8 TFLite, as onnx2tf users do it.

    python onnx2tf_program.py MODEL.onnx OUT.tflite [--calibration MIXTURES.npy]

Without calibration data: the float32 file. With float32 [N, T] or [N, T, A] of mixtures: full integer quantization, per channel, int8 in
and out, by the converter calls of onnx2tf's own ``-oiqt -qt per-channel`` (which makes five files and takes four times as long).
onnx2tf simplifies its input in place: MODEL.onnx must be a copy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx2tf
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibration", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        onnx2tf.convert(input_onnx_file_path=str(arguments.model), output_folder_path=folder, not_use_onnxsim=True, verbosity="error")
        plain = (Path(folder) / f"{arguments.model.stem}_float32.tflite").read_bytes()
        if flex := operators_of_tensorflow(plain):
            sys.exit(f"its file needs TensorFlow itself, which no device has, for {', '.join(flex)}")
        if arguments.calibration is None:
            arguments.out.write_bytes(plain)
        else:
            arguments.out.write_bytes(quantized(folder, np.load(arguments.calibration)))


def operators_of_tensorflow(content: bytes) -> list[str]:
    """The names of the operators of a TFLite file that only TensorFlow's own kernels compute, such as FlexErf."""
    names = (code.customCode or b"" for code in schema.ModelT.InitFromPackedBuf(bytearray(content), 0).operatorCodes)
    return sorted(name.decode() for name in names if name.startswith(b"Flex"))


def quantized(saved_model: str, mixtures: np.ndarray) -> bytes:
    """The full-integer TFLite file of a SavedModel, calibrated with mixtures [N, T] or [N, T, A]."""

    def examples() -> Iterator[list[np.ndarray]]:
        for mixture in mixtures:
            yield [mixture[None]]

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content


if __name__ == "__main__":
    main()

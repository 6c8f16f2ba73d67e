"""QDQ ONNX to an all-integer TFLite file."""

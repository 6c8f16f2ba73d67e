"""Makes artefacts: data, float teacher, quantization-aware training, QDQ ONNX, int8 TFLite, package."""

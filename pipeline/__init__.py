"""Makes artefacts: data, float teacher, quantization-aware training, QDQ ONNX, int8 TFLite, package."""

from export_specs.networks import find_networks_by
from pipeline.networks.specs import network_spec

find_networks_by(network_spec)  # before any module here can read a model's spec

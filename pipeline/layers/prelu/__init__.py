"""PReLUs."""

from __future__ import annotations

from pipeline.layers.declaration import Layer, Twin
from pipeline.layers.prelu.float import Prelu
from pipeline.layers.prelu.quantized import QuantizedPrelu
from pipeline.layers.prelu.to_onnx import emit_float_prelu, emit_prelu

PRELU = Layer(Prelu, Twin(QuantizedPrelu, emit_prelu), emit_float_prelu)

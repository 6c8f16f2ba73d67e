"""gLN: the norm over all frames and channels, with an integer recipe for each kind of machine."""

from __future__ import annotations

from pipeline.layers.declaration import Choice, Layer
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes import RECIPES
from pipeline.layers.global_norm.to_float_onnx import emit_float_norm

_NAMES = {"c23": "runtime-filter", "c25": "scalar-gain", "b14": "int16-elementwise"}
GLOBAL_NORM = Layer(GlobalLayerNorm, Choice(lambda recipe: _NAMES[recipe.norm], RECIPES), emit_float_norm)

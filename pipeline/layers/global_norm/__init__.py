"""gLN: the norm over all frames and channels, with an integer recipe for each kind of machine."""

from __future__ import annotations

from pipeline.layers.declaration import Choice, Layer
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes import RECIPES
from pipeline.layers.global_norm.to_float_onnx import emit_float_norm

GLOBAL_NORM = Layer(GlobalLayerNorm, Choice("norm recipe", lambda recipe: recipe.norm, RECIPES), emit_float_norm)

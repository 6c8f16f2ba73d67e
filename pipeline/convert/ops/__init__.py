"""The lowerings: one file for each ONNX op, found and never listed."""

from __future__ import annotations

from export_specs.foundation.discovery import discovered_modules
from pipeline.convert.declaration import collect

DECLARATIONS = collect(discovered_modules(__name__))

"""All layers, found and never listed."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from export_specs.foundation.discovery import discovered_modules
from export_specs.foundation.errors import UserError
from pipeline.layers.declaration import Emitter, FloatEmitter, Layer, Twin, declared
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.recipe import Recipe


class Registry:
    """Layers by the classes of their forms."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers: dict[type[nn.Module], Layer] = {}
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Take in one more layer.

        Raises:
            ValueError: its float form is there already.
        """
        if layer.float_form in self._layers:
            raise ValueError(f"{layer.float_form.__name__} is declared twice")
        self._layers[layer.float_form] = layer

    def has_forms(self, module: nn.Module) -> bool:
        """Whether a module is one of the layers, in its float or in a quantized form."""
        return isinstance(module, QuantizedLayer) or type(module) in self._layers

    def find(self, module: nn.Module) -> Layer | None:
        """The layer of a float module; None where it is none of the layers."""
        return self._layers.get(type(module))

    def twin(self, module: nn.Module, recipe: Recipe) -> Twin:
        """The quantized form of a float layer."""
        return self._layers[type(module)].twin(recipe)

    def float_emitter(self, module: nn.Module) -> FloatEmitter:
        """What writes a float layer as ONNX nodes."""
        return self._layers[type(module)].to_float_onnx

    def emitter(self, module: nn.Module, path: str) -> Emitter:
        """What writes a quantized layer as ONNX nodes.

        Raises:
            UserError: nothing does; the message names ``path``, its place in the network.
        """
        for layer in self._layers.values():
            for twin in layer.twins():
                if twin.make is type(module):
                    return twin.to_onnx
        raise UserError(f"layer {path} ({type(module).__name__}) cannot be exported to QDQ ONNX")


LAYERS = Registry(declared(discovered_modules("pipeline.layers")))

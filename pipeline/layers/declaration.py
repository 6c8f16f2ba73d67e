"""What a layer says of itself: its float form, its quantized twins, and how each of them is written as ONNX nodes.

Each module or folder of ``pipeline/layers`` declares its layers, so that adding one to the product is adding a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from export_specs.foundation.errors import UserError, choice_error
from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.quantized_layer import QuantizedLayer
from pipeline.quantization.recipe import Recipe

Emitter = Callable[[GraphBuilder, Any, list[Value], str], Value]
"""Adds the nodes of a quantized layer: graph, layer, inputs, name of its output; returns the output, of that name."""
FloatEmitter = Callable[[FloatGraph, Any, list[str], str], str]
"""Adds the nodes of a float layer: graph, layer, names of the inputs, name of the layer; returns the output's name."""


@dataclass(frozen=True)
class Twin:
    """A quantized form of a layer.

    Attributes:
        make: its class, called with the float layer, whose parameters it takes over.
        to_onnx: writes it as QDQ ONNX nodes.
        without_affine: of a norm: gamma and beta are folded into the layers that read it before the twin is made.
    """

    make: type[QuantizedLayer]
    to_onnx: Emitter
    without_affine: bool = False


@dataclass(frozen=True)
class Choice:
    """Several quantized forms of a layer, of which the recipe chooses one: ``key`` gives its name in ``twins``, which are of a ``kind``."""

    kind: str
    key: Callable[[Recipe], str]
    twins: Mapping[str, Twin]


@dataclass(frozen=True)
class Layer:
    """One kind of layer in its three forms.

    Attributes:
        float_form: the class that float networks call.
        quantized: its quantized form, or a choice of several.
        to_float_onnx: writes the float form as ONNX nodes.
    """

    float_form: type[nn.Module]
    quantized: Twin | Choice
    to_float_onnx: FloatEmitter

    def twins(self) -> list[Twin]:
        """All quantized forms."""
        return [self.quantized] if isinstance(self.quantized, Twin) else list(self.quantized.twins.values())

    def twin(self, recipe: Recipe) -> Twin:
        """The quantized form that a recipe asks for.

        Raises:
            UserError: there is none of that name; the right ones are listed.
        """
        if isinstance(self.quantized, Twin):
            return self.quantized
        name = self.quantized.key(recipe)
        if name not in self.quantized.twins:
            raise choice_error(self.quantized.kind, name, list(self.quantized.twins))
        return self.quantized.twins[name]


def by_input(*, split: Twin, byte: Twin, int16: Twin) -> Choice:
    """Of a layer that reads what enters the network: behind a splitter, of 8 bits, or of 16."""
    return Choice("input", lambda recipe: recipe.method.input, {"split": split, "byte": byte, "16": int16})


def by_output(*, rqb: Twin, byte: Twin, int16: Twin) -> Choice:
    """Of a layer that makes what leaves the network: with a reconstructor, of 8 bits, or of 16."""
    return Choice("output", lambda recipe: recipe.method.output, {"rqb": rqb, "byte": byte, "16": int16})


def emit_nothing(graph: GraphBuilder, layer: QuantizedLayer, inputs: list[Value], name: str) -> Value:
    """Of a form that is simulated in torch alone.

    Raises:
        UserError: always.
    """
    raise UserError(
        f"layer {name} ({type(layer).__name__}) is simulated in torch alone: a file has input: split or byte, output: rqb or byte"
    )


def declared(modules: Iterable[ModuleType]) -> Iterator[Layer]:
    """The layers that modules declare at their top level."""
    for module in modules:
        for item in vars(module).values():
            yield from [item] if isinstance(item, Layer) else []

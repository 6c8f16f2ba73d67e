"""A network as a graph of calls of layers."""

from __future__ import annotations

from torch import fx, nn

from export_specs.foundation.errors import UserError
from pipeline.layers.registry import LAYERS
from pipeline.networks.network import Network

LAYER_CALLS = ("placeholder", "call_module", "output")


class LayerTracer(fx.Tracer):
    """Traces a network down to the layers that are declared, or their quantized forms."""

    def is_leaf_module(self, module: nn.Module, _: str) -> bool:
        return LAYERS.has_forms(module)


def trace(network: Network) -> fx.Graph:
    """The network as a graph of calls of layers, in order; of one that has parts which stay float, what its ``integer_part`` names.

    Raises:
        UserError: something outside the layers is computed; the message names the module and the operation.
    """
    tracer = LayerTracer()
    tracer.traced_func_name = network.integer_part
    graph = tracer.trace(network)
    for node in graph.nodes:
        if node.op not in LAYER_CALLS:
            modules = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
            place = modules[-1] if modules else ""
            kind = type(network.get_submodule(place)).__name__
            computed = getattr(node.target, "__name__", node.target)
            raise UserError(
                f"{f'layer {place}' if place else 'the network'} ({kind}) has no integer form yet: "
                f"it computes '{computed}' itself instead of by the layers of pipeline/layers"
            )
    return graph

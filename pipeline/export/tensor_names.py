"""What the tensors of a graph are called: by their layers' places in the network."""

from __future__ import annotations

from collections.abc import Iterable


def tensor_names(paths: Iterable[str]) -> dict[str, str]:
    """The name of each layer's output, by the layer's module path ("separator.DPT.output.0").

    It is the path less the modules that are the only one in theirs: a place where nothing else could stand distinguishes nothing, and
    names are a twentieth of a small file. The first part of a path always stays.

    Args:
        paths: of all layers of a network.
    """
    parts = {path: path.split(".") for path in paths}
    inside: dict[tuple[str, ...], set[str]] = {}
    for place in parts.values():
        for depth, name in enumerate(place):
            inside.setdefault(tuple(place[:depth]), set()).add(name)
    return {
        path: ".".join(name for depth, name in enumerate(place) if depth == 0 or len(inside[tuple(place[:depth])]) > 1)
        for path, place in parts.items()
    }

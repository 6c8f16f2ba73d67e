"""Finding a network's tensors among those of a file, below any prefix and in any layout that is known of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Another implementation's names of the same network. ``rename``: from a tensor's name here to the one there.

    ``implies``: settings (by the names of our spec) that whoever uses this layout has.
    """

    name: str
    rename: Callable[[str], str]
    implies: Mapping[str, object]


OWN = Layout("", lambda name: name, {})


@dataclass(frozen=True)
class Match:
    """The best reading of a file.

    Attributes:
        keys: from the network's name of a tensor to the file's.
        unknown: tensors of the file that lie among the network's and that it has not.
        beside: how many tensors of the same dictionary are of other modules, by module; other dictionaries (an optimizer's) do not count.
        others: places of further sets of the same tensors with other values, none of which was taken.
    """

    layout: Layout
    prefix: str
    keys: dict[str, str]
    unknown: list[str]
    beside: Counter[str]
    others: list[str]


def find_network(tensors: Mapping[str, Tensor], expected: Iterable[str], layouts: Iterable[Layout] = (OWN,)) -> Match:
    """The place and layout in which most of the ``expected`` tensors are; of several alike the first in the file.

    Names may stand behind any prefix ("model_state_dict/module."). What wrappers put between their parts ("encoder._orig_mod.weight") is
    passed over where the network is whole without it.
    """
    names = list(expected)
    found = _readings(tensors, names, layouts, exact=True)
    if not any(len(keys) == len(names) for _, _, keys in found):
        found = [reading for reading in _readings(tensors, names, layouts, exact=False) if len(reading[2]) == len(names)] or found
    if not found:
        return Match(OWN, "", {}, [], Counter(), [])
    layout, prefix, keys = max(found, key=lambda reading: len(reading[2]))
    tops = {layout.rename(name).partition(".")[0] for name in names}
    whole = [(place, others) for _, place, others in found if len(others) == len(names) and place != prefix]
    taken = {*keys.values(), *(key for _, others in whole for key in others.values())}
    dictionary = prefix[: prefix.rfind("/") + 1]
    unknown, beside = [], Counter[str]()
    for key in tensors:
        rest = key.removeprefix(dictionary)
        if key in taken:
            continue
        if key.startswith(prefix) and key.removeprefix(prefix).replace("/", ".").partition(".")[0] in tops:
            unknown.append(key)
        elif key.startswith(dictionary) and "/" not in rest:
            beside[rest.partition(".")[0]] += 1
    differing = [place for place, others in whole if any(not _equal(tensors[keys[name]], tensors[others[name]]) for name in names)]
    return Match(layout, prefix, keys, unknown, beside, differing)


def _readings(
    tensors: Mapping[str, Tensor], names: list[str], layouts: Iterable[Layout], exact: bool
) -> list[tuple[Layout, str, dict[str, str]]]:
    return [
        (layout, prefix, keys)
        for layout in layouts
        for prefix, keys in _by_prefix(tensors, {layout.rename(name): name for name in names}, exact).items()
    ]


def _by_prefix(tensors: Mapping[str, Tensor], theirs: Mapping[str, str], exact: bool) -> dict[str, dict[str, str]]:
    """For each prefix, the file's key of each of our names that is found behind it."""
    vocabulary = {part for name in theirs for part in name.split(".")}
    found: dict[str, dict[str, str]] = {}
    for key in tensors:
        for start in (0, *(place + 1 for place, letter in enumerate(key) if letter in "./")):
            parts = key[start:].replace("/", ".").split(".")
            rest = parts if exact else [part for part in parts if part in vocabulary]
            name = theirs.get(".".join(rest))
            if name is not None and rest[0] == parts[0]:
                found.setdefault(key[:start], {}).setdefault(name, key)
    return found


def _equal(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and bool(torch.equal(first, second))

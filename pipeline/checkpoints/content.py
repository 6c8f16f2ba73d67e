"""What a checkpoint holds, whatever program wrote it: tensors by their place, and all that it tells besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pipeline.checkpoints.torch_files import Unread

_MODULE_PARTS = ("_parameters", "_buffers", "_modules")  # where a pickled torch module keeps its tensors
_LETTERS = 5  # so many settings of one letter in one place are a network's, as papers name them; fewer could be anything's


@dataclass(frozen=True)
class Told:
    """One thing that a file tells: the value at a place of it, say "model_args.stride".

    ``name`` is the last part of the place, ``kind`` the class that it is an argument of, where the file says so ("Decoder").
    """

    place: str
    name: str
    kind: str
    value: object


@dataclass(frozen=True)
class Made:
    """Settings of an object of the class ``kind`` (without its modules), which the file describes."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Content:
    """Tensors by their place in the file ("state_dict/encoder.weight" in a dictionary within another one), in the file's order; what it
    tells; and what it keeps to itself."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    silent_about: str = ""


def content_of(tree: object) -> Content:
    """The content of nested dictionaries, lists and stand-ins."""
    content = Content()
    for place, kind, leaf in _leaves(tree, (), "", frozenset()):
        if isinstance(leaf, Tensor):
            content.tensors["/".join(place)] = leaf
        else:
            name = next((part for part in reversed(place) if not part.startswith("_")), "")
            content.told.append(Told(".".join(place), name, kind, leaf))
    return content


def _leaves(tree: object, place: tuple[str, ...], kind: str, around: frozenset[int]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    if isinstance(tree, Tensor) or _is_plain(tree):
        yield place, kind, tree
        return
    if id(tree) in around:  # an object that holds itself
        return
    around = around | {id(tree)}
    if isinstance(tree, type) and issubclass(tree, Unread):
        yield place, kind, tree.name
    elif isinstance(tree, Unread):
        yield from _leaves(tree.state, place, tree.name.rpartition(".")[2], around)
    elif isinstance(tree, Made):
        yield from _leaves(tree.settings, place, tree.kind, around)
    elif isinstance(tree, Mapping):
        letters = [key for key in tree if _is_letter(key)]
        klass = next((value.name for key, value in tree.items() if key in ("klass", "class") and _is_class(value)), None)
        for key, value in tree.items():
            if _is_letter(key) and not kind and len(letters) < _LETTERS and _is_plain(value):
                continue
            inner = klass.rpartition(".")[2] if klass is not None and key == "kwargs" else kind
            yield from _leaves(value, place if key in _MODULE_PARTS and kind else (*place, str(key)), inner, around)
    elif isinstance(tree, list | tuple | set | frozenset):
        if all(_is_plain(value) for value in tree):
            yield place, kind, list(tree)
        else:
            for number, value in enumerate(tree):
                yield from _leaves(value, (*place, str(number)), kind, around)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _is_letter(key: object) -> bool:
    return isinstance(key, str) and len(key) == 1 and key.isupper()


def _is_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Unread)

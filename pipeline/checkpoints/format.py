"""How files of one network's architecture are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from export_specs.schema import ModelSpec
from pipeline.checkpoints.matching import OWN, Layout
from pipeline.checkpoints.settings import Setting


@dataclass(frozen=True)
class Format:
    """What a network's folder declares in its ``checkpoint.py``.

    Attributes:
        settings: what a file may tell of the network, with the values that it must have.
        layouts: in which names its tensors may come.
        unused: tensors that a file may lack, because nothing reads their result.
        defaults: settings that a file means where it names a class without them.
    """

    settings: Callable[[ModelSpec], list[Setting]]
    layouts: Callable[[ModelSpec], tuple[Layout, ...]] = lambda _: (OWN,)
    unused: Callable[[ModelSpec], set[str]] = lambda _: set()
    defaults: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

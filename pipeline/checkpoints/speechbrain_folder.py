"""What the ``hyperparams.yaml`` beside SpeechBrain's weights tells, read without making any of the objects that it describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from export_specs.foundation.errors import UserError
from pipeline.checkpoints.content import Made, Told, content_of

FILE = "hyperparams.yaml"


def read_hyperparameters(folder: Path) -> list[Told]:
    """What the file in ``folder`` tells, and of a training's folder (``…/save/CKPT+…``) the one that the training began with.

    Raises:
        UserError: it is no YAML.
    """
    places = [folder, *(folder.parents[:2] if folder.name.startswith("CKPT+") else ())]
    path = next((place / FILE for place in places if (place / FILE).is_file()), None)
    if path is None:
        return []
    try:
        tree = yaml.load(path.read_text(), _Reader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        told = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({told}): it should say how the weights beside it are used") from error
    return content_of(_resolved(tree, tree if isinstance(tree, Mapping) else {}, 0)).told


class _Reference(str):
    """What stands behind ``!ref``."""


class _Reader(yaml.SafeLoader):
    """HyperPyYAML's tags as plain data: ``!new:package.Class`` as :class:`Made`, ``!ref <name>`` as :class:`_Reference`."""


def _construct(loader: _Reader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        settings = {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}
        return Made(suffix.rpartition(".")[2], settings) if suffix.startswith(("new:", "name:")) else settings
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    text = str(loader.construct_scalar(node))
    return _Reference(text) if suffix == "ref" else None


_Reader.add_multi_constructor("!", _construct)


def _resolved(tree: Any, names: Mapping[str, Any], depth: int) -> Any:
    """References replaced by the plain values that they name. One to an object, or a calculation, tells nothing new: None."""
    if isinstance(tree, _Reference):
        named = re.fullmatch(r"<(\w+)>", tree)
        value = names.get(named[1]) if named else None
        if isinstance(value, _Reference):
            return _resolved(value, names, depth + 1) if depth < len(names) else None
        return value if isinstance(value, str | bool | int | float) else None
    if isinstance(tree, Made):
        return Made(tree.kind, _resolved(tree.settings, names, depth))
    if isinstance(tree, Mapping):
        return {key: _resolved(value, names, depth) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_resolved(value, names, depth) for value in tree]
    return tree

"""Targets that extend another: what is taken over, what is replaced, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from export_specs.foundation.errors import UserError
from export_specs.inheritance import merge
from export_specs.load import load_target, target_names

Tree = dict[str, Any]
leaves = st.one_of(st.integers(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=3))
trees = st.recursive(leaves, lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3), max_leaves=12)
mappings = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


def write(folder: Path, file: str, **content: object) -> str:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def leaf_paths(tree: Tree) -> dict[tuple[str, ...], object]:
    """Every leaf of nested mappings by the way to it; an empty mapping is no leaf."""
    found: dict[tuple[str, ...], object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found.update({(key, *rest): leaf for rest, leaf in leaf_paths(value).items()})
        else:
            found[(key,)] = value
    return found


@settings(deadline=None)
@given(mappings, mappings)
def test_a_leaf_is_that_of_the_changes_or_else_of_the_base(base: Tree, changes: Tree) -> None:
    above, below = leaf_paths(changes), leaf_paths(base)
    covered = {way[:depth] for way in above for depth in range(1, len(way) + 1)}
    # a mapping of the changes, be it empty, replaces a leaf of the base; a leaf of the changes replaces a mapping of the base
    mapped = {way for way in below if _is_mapping(changes, way)}
    kept = {
        way: leaf
        for way, leaf in below.items()
        if way not in covered and way not in mapped and not any(way[:depth] in above for depth in range(1, len(way)))
    }
    assert leaf_paths(merge(base, changes)) == {**kept, **above}


def _is_mapping(tree: Tree, way: tuple[str, ...]) -> bool:
    value: object = tree
    for key in way:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return isinstance(value, dict)


def test_mappings_are_merged_lists_replaced_and_null_takes_out(tmp_path: Path) -> None:
    base = load_target("tflite-int8")
    mine = load_target(
        write(
            tmp_path,
            "mine.yaml",
            name="mine",
            extends="tflite-int8",
            allowed_ops=["ADD"],
            near_exceptions={"WHILE": None, "MUL": "another reason", "mine*": "a reason"},
            gates={"task.mean": {"sqnr_db": {"ptq": 20}}, "near": {"max_lsb": 3}},
        )
    )
    assert (mine.name, mine.description, mine.allowed_ops) == ("mine", "", ["ADD"])
    expected = {**base.near_exceptions, "MUL": "another reason", "mine*": "a reason"}
    del expected["WHILE"]
    assert mine.near_exceptions == expected
    assert base.gates == {}
    assert mine.gates == {"task.mean": {"sqnr_db": {"ptq": 20}}, "near": {"max_lsb": 3}}
    changed = {"name", "description", "allowed_ops", "near_exceptions", "gates"}
    assert mine.model_dump(exclude=changed) == base.model_dump(exclude=changed)


def test_null_brings_back_the_default(tmp_path: Path) -> None:
    assert load_target(write(tmp_path, "mine.yaml", name="mine", extends="tflite-int8", gates=None)).gates is None


def test_a_chain_of_files_counts_paths_from_the_file_that_names_them(tmp_path: Path) -> None:
    write(tmp_path, "board.yaml", name="board", extends="tflite-int8", allowed_ops=["ADD"], norm_recipe="int16-elementwise")
    last = load_target(write(tmp_path, "variants/small.yaml", name="small", extends="../board.yaml", allowed_ops=["MUL"]))
    assert (last.name, last.allowed_ops, last.norm_recipe) == ("small", ["MUL"], "int16-elementwise")
    assert last.near_exceptions == load_target("tflite-int8").near_exceptions


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"name": "mine", "extends": "mine.yaml"}, r"mine\.yaml extends itself: .*mine\.yaml extends .*mine\.yaml$"),
        ({"name": "mine", "extends": "other.yaml"}, r"extends itself: .*mine\.yaml extends .*other\.yaml extends .*mine\.yaml$"),
        ({"name": "mine", "extends": "lost.yaml"}, r"cannot read the spec .*lost\.yaml"),
        ({"name": "mine", "extends": "tflite-int9"}, r"unknown target 'tflite-int9'.*tflite-int8-npu"),
        ({"name": "mine", "extends": ["tflite-int8"]}, r"extends \['tflite-int8'\]: name one target"),
        ({"name": "mine", "extends": "list.yaml"}, r"list\.yaml, which .*mine\.yaml extends, holds no settings"),
        ({"extends": "tflite-int8"}, r"name: Field required"),
        ({"name": "mine", "extends": "tflite-int8", "gates": {"bytes": 1}}, r"gates\.bytes: Input should be a valid dictionary"),
        (
            {"name": "mine", "extends": "tflite-int8", "runtimes": ["litert-ref", "tflmm"]},
            r"unknown runtimes tflmm; there are onnxruntime,",
        ),
        ({"name": "mine", "extends": "tflite-int8", "runtimes": ["tflm", "onnxruntime"]}, r"judged on litert-ref or litert-xnnpack"),
        ({"name": "mine", "extends": "tflite-int8", "converter": "onnx2tf-int8"}, r"onnx2tf-int8 makes no ONNX file"),
        ({"name": "mine", "extends": "tflite-int8", "format": "onnx"}, r"format onnx with converter own"),
        ({"name": "mine", "extends": "onnx-qdq", "runtimes": ["onnxruntime", "tflm"]}, r"an ONNX file runs in onnxruntime alone"),
    ],
)
def test_what_cannot_be_is_refused(content: Tree, reason: str, tmp_path: Path) -> None:
    write(tmp_path, "other.yaml", name="other", extends="mine.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match=reason):
        load_target(write(tmp_path, "mine.yaml", **content))


def test_every_target_that_ships_loads_under_its_own_name() -> None:
    assert [load_target(name).name for name in target_names()] == target_names()


def test_the_npu_is_a_variant_of_the_cpu() -> None:
    """What it says of itself differs, nothing else: a correction of the one is one of the other."""
    cpu, npu = load_target("tflite-int8"), load_target("tflite-int8-npu")
    own = {"name", "description", "norm_recipe", "rewrites", "allowed_ops", "near_exceptions", "npus"}
    assert npu.model_dump(exclude=own) == cpu.model_dump(exclude=own)
    assert set(npu.allowed_ops) < set(cpu.allowed_ops)
    assert cpu.near_exceptions.items() - npu.near_exceptions.items() <= {
        (pattern, cpu.near_exceptions[pattern]) for pattern in ("*norm/diff", "*/mean8", "MEAN", "WHILE")
    }
    assert set(npu.near_exceptions) - set(cpu.near_exceptions) == {"*/diff"}  # of all norms, where the CPU's has those named so
    named = load_target("ethos-u")
    assert npu.model_dump(exclude={"name", "description"}) == named.model_dump(exclude={"name", "description"}), "its former name"

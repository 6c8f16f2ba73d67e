"""Names of tensors against names worked out by hand."""

from __future__ import annotations

from pipeline.export.tensor_names import tensor_names


def test_an_only_child_is_left_out_wherever_it_stands() -> None:
    expected = {
        "encoder.conv": "encoder",
        "body.0.norm.norm": "body.0.norm",
        "body.0.inner.layers.0.heads": "body.0.inner.heads",
        "body.0.inner.layers.0.out": "body.0.inner.out",
        "body.1.norm": "body.1",
        "stack": "stack",
    }
    assert tensor_names(expected) == expected


def test_the_first_part_stays_even_alone() -> None:
    assert tensor_names(["net.layers.0", "net.layers.1"]) == {"net.layers.0": "net.0", "net.layers.1": "net.1"}


def test_names_stay_different() -> None:
    """All paths of a tree whose modules have one, two or three modules of the same names."""
    paths = [f"{a}.{b}.{c}" for a in "xyz" for b in "xyz"[: 1 + "xyz".index(a)] for c in "xyz"[: 1 + "xyz".index(b)]]
    assert len(set(tensor_names(paths).values())) == len(paths) == 10

from __future__ import annotations

from pathlib import Path

import pytest

from export_specs.foundation.errors import UserError
from export_specs.load import load_model


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1", "not YAML"),
        (bytes(range(256)), "not YAML"),
        (b"", "not valid"),
        (b"- 1", "not valid"),
        (b"name: x", "sample_rate: Field"),
        (b"trainings: {}", "trainings: there is no such key; the keys here are architecture, .*, training"),
        (b"training: {step: 1}", r"training\.step: there is no such key; the keys here are .*steps"),
        (b"profiles: {quick: {step: 1}}", r"profiles\.quick\.step: there is no such key; the keys here are .*steps"),
    ],
)
def test_a_bad_spec_is_named_with_its_fault(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"mine\.yaml is {reason}|mine\.yaml is not valid.*{reason}"):
        load_model(str(path))

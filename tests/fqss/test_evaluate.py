"""``fqss evaluate``: deployed files on a whole test set, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.data.test_data_sets import write_librimix
from tests.edge_runtime.conftest import write_tflite_network

ROOT = Path(__file__).parents[2]


def evaluated(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fqss", "evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_whole_test_set(tmp_path: Path) -> None:
    write_librimix(tmp_path / "librimix")
    file = write_tflite_network(tmp_path / "net.tflite")
    done = evaluated(
        f"reference={file}@litert-ref", f"int8={file}", "--data", f"librimix:{tmp_path / 'librimix'}",
        "--levels", "-10,10", "--workers", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (tmp_path / "out" / "evaluation.md").read_text().strip()
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["mixtures"] == 9 and found["files"]["int8"][0] == "litert-xnnpack"
    assert [part["subset"] for part in found["parts"][::2]] == ["", "as published", "pairs at -10 dB", "pairs at 10 dB"]


def test_refusals(tmp_path: Path) -> None:
    file = write_tflite_network(tmp_path / "net.tflite")
    for arguments, words in (
        ([file], "is not NAME=FILE or NAME=FILE@RUNTIME"),
        ([f"a={file}", f"a={file}"], "two files have one name"),
        ([f"a={file}", "--levels", "loud"], "'loud' is no level in dB"),
        ([f"a={file}", "--data", f"librimix:{tmp_path}"], "is not in the layout of LibriMix"),
    ):
        done = evaluated(*arguments, "--out", tmp_path / "out")
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr, (arguments, done.stderr)

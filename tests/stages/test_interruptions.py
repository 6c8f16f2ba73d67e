"""A deployment that is killed again and again gives what an undisturbed one gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.stages.graph import RECORD
from tests.tiny import tiny_spec

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
PATIENCE = 600  # seconds for what takes ten on a machine that does nothing else
WAIT = 8  # seconds until the signal is sent again: less than what is left to do takes
# (signal, what is there when it comes): in every stage, in its midst where that can be seen, else as it starts
INTERRUPTIONS = [
    (signal.SIGTERM, "evaluation-*/test"),
    (signal.SIGKILL, "evaluation-*/dev"),
    (signal.SIGINT, "training-*/last.ckpt"),
    (signal.SIGKILL, "training-*/last.ckpt"),
    (signal.SIGTERM, "training-*/last.ckpt"),
    (signal.SIGKILL, "teacher-*"),
    (signal.SIGINT, "float-onnx-*"),
    (signal.SIGTERM, "qat-*"),
    (signal.SIGKILL, "simulation-*/outputs"),
    (signal.SIGINT, "onnx-*"),
    (signal.SIGKILL, "tflite-*"),
    (signal.SIGTERM, "report-*/judge.json"),
    (signal.SIGKILL, "report-*/report/parity.json"),
]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A hundred epochs of training, so that some are left when a signal comes; segments long enough for every metric of the report."""
    content = tiny_spec(steps=200, epoch_steps=2).model_dump()
    content["segment_samples"] = 8000
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "tiny.yaml"


def start(folder: Path, spec: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pipeline.stages", "deploy", "--spec", str(spec), "--profile", "ptq", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # signals go to all of its processes, as from a terminal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def interrupted(folder: Path, spec: Path, sent: signal.Signals, sign: Callable[[], bool]) -> tuple[int, str]:
    """The exit code and the messages of a run that gets a signal when ``sign`` is there.

    And again if it has not ended by then, as from someone who waits for it: a finalizer may have dropped the exception of the first.
    """
    process = start(folder, spec)
    for _ in range(PATIENCE * 50):
        if sign() or process.poll() is not None:
            break
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[1]
    os.killpg(process.pid, sent)
    try:
        said = process.communicate(timeout=WAIT)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, sent)
        said = process.communicate(timeout=PATIENCE)[1]
    code = process.returncode
    return code if code >= 0 else 128 - code, said  # as shells count what a signal has ended


def digests(folder: Path) -> dict[str, dict[str, str]]:
    records = [json.loads(path.read_text()) for path in (folder / "build" / "tiny").glob(f"*/{RECORD}")]
    return {record["stage"]: record["results"] for record in records}


def test_results_do_not_depend_on_interruptions(spec: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    start(straight, spec).communicate(timeout=PATIENCE)
    for sent, pattern in INTERRUPTIONS:
        seen = {path: path.stat().st_mtime_ns for path in (killed / "build" / "tiny").glob(pattern)}

        def new(pattern: str = pattern, seen: dict[Path, int] = seen) -> bool:
            return any(seen.get(path) != path.stat().st_mtime_ns for path in (killed / "build" / "tiny").glob(pattern))

        code, said = interrupted(killed, spec, sent, new)
        assert code == 128 + sent, (pattern, code, said)
        assert "Traceback" not in said, (pattern, said)
        if sent != signal.SIGKILL:
            assert said.splitlines()[-1].startswith("interrupted: "), (pattern, said)
        assert not (killed / "out").exists()
    start(killed, spec).communicate(timeout=PATIENCE)
    expected, found = digests(straight), digests(killed)
    assert found.keys() == expected.keys() and "tiny/tflite" in found
    for stage, files in expected.items():
        if "report" not in stage:  # it tells how long things took
            assert found[stage] == files, stage
    assert found.keys() == expected.keys()
    names = [sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*")) for folder in (straight, killed)]
    assert names[0] == names[1]
    for name in ("model.tflite", "model.qdq.onnx"):
        assert (straight / "out" / name).read_bytes() == (killed / "out" / name).read_bytes()

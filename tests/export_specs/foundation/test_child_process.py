from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export_specs.foundation.child_process import process_pool, run_child
from export_specs.foundation.errors import UserError

ROOT = Path(__file__).parents[3]
SLEEPER = "import os, time; open('child', 'w').write(str(os.getpid())); time.sleep(60)"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_child_ends_with_its_parent(sent: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import signal, sys; from export_specs.foundation.child_process import run_child\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job has it ignored
        f"run_child([sys.executable, '-c', {SLEEPER!r}])"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    child = int(wait_for(tmp_path / "child"))
    parent.send_signal(sent)
    parent.wait(30)
    for _ in range(300):
        if not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes():  # gone, or not yet reaped
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child goes on")


def wait_for(path: Path) -> str:
    for _ in range(600):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.1)
    raise TimeoutError(path)


def test_what_it_gives(tmp_path: Path) -> None:
    done = run_child([sys.executable, "-c", "print('said'); raise SystemExit(3)"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "said\n")


def test_a_pool_that_is_left_says_nothing_after_its_processs_last_word(tmp_path: Path) -> None:
    """What calls is no main module, so that the pool's processes import nothing of it."""
    program = (
        "import os, time; from export_specs.foundation.child_process import process_pool\n"
        "with process_pool(1, 'slept') as pool:\n"
        "    print(pool.submit(abs, -2).result(), flush=True); pool.submit(time.sleep, 60); os._exit(143)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    left = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (left.returncode, left.stdout, left.stderr) == (143, "2\n", "")


def test_a_process_of_a_pool_that_died_is_told() -> None:
    with pytest.raises(UserError, match=r"^a process that slept died: out of memory"), process_pool(1, "slept") as pool:
        pool.submit(os._exit, 1).result()

"""``python -m validation.load_probe FILE RUNTIME``: whether a runtime loads a file, in another process, because a bad file may crash it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from export_specs.foundation.child_process import run_child

LIBRARIES = {"LiteRT": "ai_edge_litert", "XNNPACK": "ai_edge_litert", "TFLM": "tflite_micro"}
TIMEOUT = 120  # seconds
_ARENA = 256 << 20  # what is not used of it is never touched


@dataclass(frozen=True)
class Load:
    """Whether it was loaded (None: not tried), why not, and how many operators a delegate took (None: there is none)."""

    loaded: bool | None
    problem: str = ""
    delegated: int | None = None


def probe(path: Path, runtime: str) -> Load:
    """Load a file in one of LIBRARIES, in another process."""
    if find_spec(LIBRARIES[runtime]) is None:
        return Load(None, f"{LIBRARIES[runtime]} is not installed")
    command = [sys.executable, "-m", "validation.load_probe", str(path), runtime]
    try:
        done = run_child(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return Load(False, f"not loaded after {TIMEOUT} s")
    said = "; ".join([line.strip() for line in done.stderr.splitlines() if line.strip()][-2:])[:300]
    if done.returncode:
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        return Load(False, f"the runtime crashes ({ended}): {said}")
    load = Load(**json.loads(done.stdout.splitlines()[-1]))
    return Load(False, said or load.problem) if runtime == "TFLM" and load.loaded is False else load


def delegated_operators(details: Sequence[Mapping[str, Any]]) -> int:
    """How many operators the delegates replace: those between the inputs and the outputs of each.

    ``details``: of LiteRT's interpreter, operators and delegates alike with the tensors that go in and come out.
    """
    makers = {index: number for number, op in enumerate(details) if op["op_name"] != "DELEGATE" for index in op["outputs"]}
    taken: set[int] = set()
    for delegate in (op for op in details if op["op_name"] == "DELEGATE"):
        given, waiting = set(delegate["inputs"]), list(delegate["outputs"])
        while waiting:
            number = makers.get(waiting.pop())
            if number is not None and number not in taken:
                taken.add(number)
                waiting += [index for index in details[number]["inputs"] if index >= 0 and index not in given]
    return len(taken)


def _load(path: str, runtime: str) -> Load:
    try:
        if runtime == "TFLM":
            from tflite_micro.python.tflite_micro.runtime import Interpreter as Micro

            Micro.from_bytes(Path(path).read_bytes(), arena_size=_ARENA)
            return Load(True)
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kernels = OpResolverType.AUTO if runtime == "XNNPACK" else OpResolverType.BUILTIN_REF
        interpreter = Interpreter(model_path=path, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        return Load(True, delegated=delegated_operators(interpreter._get_ops_details()) if runtime == "XNNPACK" else None)
    except Exception as error:  # each runtime has kinds of its own
        return Load(False, str(error).strip()[:300])


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(asdict(_load(*sys.argv[1:])))}\n")

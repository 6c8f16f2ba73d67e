"""Packages that import all their modules in their ``__init__`` are prone to cycles that show in one order of imports alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [module for module in sys.modules if module.split(".")[0] == "pipeline"]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
"""


def test_every_module_can_be_imported_first() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "pipeline").rglob("*.py"))
        if path.name not in ("__main__.py", "onnx2tf_program.py")
    ]
    assert len(modules) > 100
    command = [sys.executable, "-c", PROGRAM, *modules]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

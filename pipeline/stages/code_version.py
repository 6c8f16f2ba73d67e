"""The version of the code that a stage runs: a digest of its module and of all it imports from this project."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "export_specs", "edge_runtime", "validation")


def code_digest(*modules: str) -> str:
    """SHA-256 over the syntax trees of the modules and of everything of ours that they import, directly or not.

    Comments, docstrings and layout do not count. A package is entered through the submodules that are imported from it.

    Args:
        modules: dotted names, say ``pipeline.stages.teacher``.
    """
    found: set[Path] = set()
    waiting = [path for module in modules for path in _files_of(module)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_files(path)
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(f"{path.relative_to(ROOT)}\n{_tree(path)}\n".encode())
    return digest.hexdigest()


@functools.cache
def _imported_files(path: Path) -> list[Path]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [file for name in names if name.split(".")[0] in PACKAGES for file in _files_of(name)]


def _files_of(module: str) -> list[Path]:
    """The files that importing ``module`` runs: its own and the ``__init__`` of each package above. Not a module: none of its own."""
    parts = module.split(".")
    files = [ROOT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*files, ROOT.joinpath(*parts).with_suffix(".py")] if path.is_file()]


@functools.cache
def _tree(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)

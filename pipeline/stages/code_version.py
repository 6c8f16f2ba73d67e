"""The version of the code that a stage runs: a digest of its module and of all it imports from this project."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISCOVERY = "discovered_modules"
PACKAGES = ("pipeline", "export_specs", "edge_runtime", "validation")


def code_digest(*modules: str) -> str:
    """SHA-256 over the syntax trees of the modules and of everything of ours that they import, directly or not.

    Comments, docstrings and layout do not count. A package is entered through the submodules that are imported from it, and as a whole
    where its modules are discovered (``export_specs.foundation.discovery``).

    Args:
        modules: dotted names, say ``pipeline.stages.teacher``.
    """
    digest = hashlib.sha256()
    for path in sorted(imported_files(*modules)):
        digest.update(f"{path.relative_to(ROOT)}\n{_tree(path)}\n".encode())
    return digest.hexdigest()


def imported_files(*modules: str) -> set[Path]:
    """The files of the modules and of everything of ours that they import, directly or not."""
    found: set[Path] = set()
    waiting = [path for module in modules for path in _files_of(module)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_files(path)
    return found


@functools.cache
def _imported_files(path: Path) -> list[Path]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == DISCOVERY:
            names += _discovered(node.args[0], path)
    return [file for name in names if name.split(".")[0] in PACKAGES for file in _files_of(name)]


def _discovered(package: ast.expr, path: Path) -> list[str]:
    """The modules of a package that a call of ``discovered_modules`` finds; ``package`` is its argument, ``path`` the calling module's."""
    if isinstance(package, ast.Name) and package.id == "__name__":
        folder = path.parent
    elif isinstance(package, ast.Constant):
        folder = ROOT.joinpath(*str(package.value).split("."))
    else:
        raise ValueError(f"{path}: {DISCOVERY} takes a string or __name__, so that the version of the code can be told without running it")
    members = [*folder.glob("*.py"), *(init.parent for init in folder.glob("*/__init__.py"))]
    return [".".join(member.relative_to(ROOT).with_suffix("").parts) for member in members if member.name != "__init__.py"]


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

"""The version of the code that something runs: a digest of our modules, and the versions of the libraries that these import.

Both follow the import statements, those in functions too, without importing anything.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import sys
from importlib.metadata import distributions, packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISCOVERY, PART = "discovered_modules", "part_of"
NOT_INSTALLED = "not installed"
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


def library_versions(*modules: str) -> dict[str, str]:
    """Versions of Python and of every library that is imported by the modules, or by what they import of ours; by the library's name.

    Libraries that these libraries use are not among them.
    """
    names = {name.split(".")[0] for path in imported_files(*modules) for name in _imported_names(path)}
    found = {"python": platform.python_version()}
    for name in sorted(names - set(PACKAGES) - sys.stdlib_module_names):
        libraries = _libraries().get(name)
        found |= {library: version(library) for library in libraries} if libraries else {name: NOT_INSTALLED}
    return found


def installed_versions(environment: Path) -> dict[str, str]:
    """Version of every library of another virtual environment, by the library's name; empty where there is no environment."""
    folders = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    return {library.name: library.version for library in distributions(path=folders)} if folders else {}


def imported_files(*modules: str) -> set[Path]:
    """The files of the modules and of everything of ours that they import, directly or not."""
    found: set[Path] = set()
    waiting = [path for module in modules for path in _files_of(module)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imported_names(path) if name.split(".")[0] in PACKAGES for file in _files_of(name)]
    return found


@functools.cache
def _imported_names(path: Path) -> list[str]:
    """Dotted names of what a file imports and discovers: modules, and names in modules."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and DISCOVERY in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            names += _discovered(node.args[0], path)
        elif isinstance(node, ast.Call) and PART in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            names += _parts(node.args, path)
    return names


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


def _parts(arguments: list[ast.expr], path: Path) -> list[str]:
    """What a call of ``part_of`` can import: that part of every package in the package, and what stands above it."""
    package, _, part = arguments
    if not isinstance(package, ast.Constant) or not isinstance(part, ast.Constant):
        raise ValueError(f"{path}: {PART} takes strings, so that the version of the code can be told without running it")
    members = ROOT.joinpath(*str(package.value).split(".")).glob("*/__init__.py")
    return [f"{package.value!s}.{init.parent.name}.{part.value!s}" for init in sorted(members)]


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


@functools.cache
def _libraries() -> dict[str, list[str]]:
    """The libraries that an import of a name brings."""
    return {name: sorted(set(libraries)) for name, libraries in packages_distributions().items()}

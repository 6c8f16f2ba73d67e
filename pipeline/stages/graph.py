"""Stages keyed by content. A stage's result lies in ``build/<stage>-<key>``, and the key is a digest of all it depends on."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export_specs.foundation.atomic import sha256, write_text
from export_specs.foundation.code_version import code_digest, library_versions
from export_specs.foundation.progress import at_work
from pipeline.allocator import keep_freed_memory
from pipeline.stages.words import WORDS

RECORD = "stage.json"
LOCK = ".lock"
KEY_LENGTH = 12
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """One step from artefacts to artefacts.

    Attributes:
        name: what the user sees, and the folder's prefix; may hold a slash (``convtasnet/qat``).
        module: the module whose function ``run(folder, settings, inputs)`` does it; imported only when it has to run.
        results: files or folders, relative to the stage's own folder, that later stages may depend on.
        settings: JSON-like values that the result depends on.
        parents: stages whose results it reads, by the name under which ``run`` gets their folder.
        files: other files it reads, or folders of files, by the name under which ``run`` gets their path.
        code: further modules that it runs in other processes, and so does not import.
    """

    name: str
    module: str
    results: tuple[str, ...]
    settings: Settings = field(default_factory=dict)
    parents: Mapping[str, Stage] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    code: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if both := self.parents.keys() & self.files.keys():
            raise ValueError(f"{self.name}: a stage before it and a file have one name: {', '.join(sorted(both))}")


class StageRunner:
    """Runs stages below ``build``, each after its parents and only when nothing finished has its key.

    An interrupted stage keeps its folder, so that a training in it goes on. Two runners wait for each other, stage by stage.

    Args:
        build: folder of all results.
        tell: called with a line when a stage begins and when it ends.
    """

    def __init__(self, build: Path, tell: Callable[[str], None]) -> None:
        self._build, self._tell = build, tell
        self._finished: dict[Path, dict[str, str]] = {}
        self._expected: list[str] = []
        self._met: list[str] = []
        self._code: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {}  # looked up once: finding all that modules import takes long
        self.libraries: dict[str, str] = {}  # versions of all that the stages run with, done before or now

    def expect(self, *stages: Stage) -> None:
        """What is going to be run, with its parents: each stage is then told as one of so many."""
        for stage in stages:
            self.expect(*stage.parents.values())
            if stage.name not in self._expected:
                self._expected.append(stage.name)

    def run(self, stage: Stage) -> Path:
        """The folder of the stage's result, made now if need be."""
        return self._run(stage)[0]

    def digests(self, stage: Stage) -> dict[str, str]:
        """SHA-256 of each result file of a stage, by its path relative to the stage's folder."""
        return self._run(stage)[1]

    def _run(self, stage: Stage) -> tuple[Path, dict[str, str]]:
        parents = {name: self._run(parent) for name, parent in stage.parents.items()}
        code, libraries = self._code_of((stage.module, *stage.code))
        depends: dict[str, Any] = {
            "settings": dict(stage.settings),
            "parents": {name: digests for name, (_, digests) in parents.items()},
            "files": {name: _content(path) for name, path in stage.files.items()},
            "code": code,
            "libraries": libraries,
        }
        key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]
        folder = self._build / f"{stage.name}-{key}"
        if folder not in self._finished:
            self.libraries |= libraries
            inputs = {**{name: path for name, (path, _) in parents.items()}, **stage.files}
            self._finished[folder] = self._make(stage, folder, inputs, depends)
        return folder, self._finished[folder]

    def _code_of(self, modules: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        """The digest of all code that modules import, and the versions of the libraries."""
        if modules not in self._code:
            self._code[modules] = code_digest(*modules), library_versions(*modules)
        return self._code[modules]

    def _make(self, stage: Stage, folder: Path, inputs: Mapping[str, Path], depends: Settings) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        title = self._title(stage)
        with _locked(folder / LOCK):
            digests = _finished_results(folder)
            if digests is not None:
                self._tell(f"{title}: done before ({folder})")
                return digests
            self._tell(f"{title}: {self._announcement(stage)}")
            _clear(stage, folder)
            keep_freed_memory()
            started = time.monotonic()
            with at_work(title):
                importlib.import_module(stage.module).run(folder, stage.settings, inputs)
            digests = {name: digest for result in stage.results for name, digest in _digests(folder, result)}
            seconds = round(time.monotonic() - started, 1)
            record = {"stage": stage.name, "depends_on": depends, "results": digests, "seconds": seconds}
            write_text(folder / RECORD, json.dumps(record, indent=1, sort_keys=True))
            self._tell(f"{title}: {seconds} s, in {folder}")
            return digests

    def _title(self, stage: Stage) -> str:
        """ "3/9 convtasnet/evaluation"; without the numbers where nothing was expected."""
        if stage.name not in self._expected:
            return stage.name
        self._met += [] if stage.name in self._met else [stage.name]
        return f"{1 + self._met.index(stage.name)}/{len(self._expected)} {stage.name}"

    def _announcement(self, stage: Stage) -> str:
        """What it does, how long it takes as a rule, and how long it took the last time here."""
        words = WORDS.get(stage.module.rpartition(".")[2], stage.module)
        records = sorted(self._build.glob(f"{stage.name}-{'?' * KEY_LENGTH}/{RECORD}"), key=lambda path: path.stat().st_mtime)
        return f"{words} (last time {json.loads(records[-1].read_text())['seconds']} s)" if records else words


def _finished_results(folder: Path) -> dict[str, str] | None:
    if not (folder / RECORD).is_file():
        return None
    digests: dict[str, str] = json.loads((folder / RECORD).read_text())["results"]
    return digests if all((folder / name).is_file() for name in digests) else None


def _clear(stage: Stage, folder: Path) -> None:
    """Remove what an interrupted run left of its results and of files half written; checkpoints of a training stay."""
    hidden = (path for path in folder.glob(".*") if path.name != LOCK)
    for path in [folder / RECORD, *(folder / result for result in stage.results), *hidden]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _digests(folder: Path, result: str) -> list[tuple[str, str]]:
    path = folder / result
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [(str(file.relative_to(folder)), sha256(file)) for file in files]


def _content(path: Path) -> str | dict[str, str]:
    return dict(_digests(path, ".")) if path.is_dir() else sha256(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with at_work(f"waiting for another run, which holds {path}"):
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield

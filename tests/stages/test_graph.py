import fcntl
import hashlib
import json
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.stages import graph
from pipeline.stages.graph import LOCK, RECORD, Stage, StageRunner


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two stage modules: the first writes its setting, the second the length of what the first wrote."""
    done: list[str] = []

    def first(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        done.append("first")
        (folder / "text").write_text(settings["text"])

    def second(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        done.append("second")
        (folder / "length").write_text(str(len((inputs["first"] / "text").read_text())))

    for name, run in {"fake_first": first, "fake_second": second}.items():
        module = types.ModuleType(name)
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(graph, "code_digest", lambda *names: "code of " + " ".join(names))
    monkeypatch.setattr(graph, "library_versions", lambda *names: {"of": " ".join(names)})
    return done


def chain(text: str) -> Stage:
    first = Stage("first", "fake_first", ("text",), {"text": text})
    return Stage("second", "fake_second", ("length",), parents={"first": first})


def run(build: Path, stage: Stage) -> Path:
    return StageRunner(build, lambda line: None).run(stage)


def test_a_parent_and_a_file_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="second: a stage before it and a file have one name: first"):
        replace(chain("text"), files={"first": Path("file")})


def test_finished_stages_are_not_run_again(tmp_path: Path, work: list[str]) -> None:
    assert run(tmp_path, chain("abc")) == run(tmp_path, chain("abc"))
    assert work == ["first", "second"]


def test_changed_setting_redoes_what_depends_on_it(tmp_path: Path, work: list[str]) -> None:
    run(tmp_path, chain("abc"))
    assert (run(tmp_path, chain("abcd")) / "length").read_text() == "4"
    assert work == ["first", "second"] * 2
    run(tmp_path, chain("abc"))  # the old result is still there
    assert len(work) == 4


def test_same_result_of_a_changed_parent_spares_the_child(tmp_path: Path, work: list[str]) -> None:
    run(tmp_path, chain("abc"))
    other = chain("abc")
    other = replace(other, parents={"first": replace(other.parents["first"], settings={"text": "abc", "unused": 1})})
    run(tmp_path, other)
    assert work == ["first", "second", "first"]


def test_changed_file_and_changed_code_redo_the_stage(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    folders = set()
    for content in ("a", "b"):
        file.write_text(content)
        folders.add(run(tmp_path, Stage("first", "fake_first", ("text",), {"text": "x"}, files={"weights": file})))
    monkeypatch.setattr(graph, "code_digest", lambda *names: "edited")
    folders.add(run(tmp_path, Stage("first", "fake_first", ("text",), {"text": "x"}, files={"weights": file})))
    assert len(folders) == len(work) == 3


def test_a_new_version_of_a_library_redoes_what_runs_with_it(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And what runs in another process for a stage. A report cannot tell the new version of a result of the old one."""
    second = replace(chain("abc"), code=("fake_judge",))
    runner = StageRunner(tmp_path, lambda line: None)
    runner.run(second)
    monkeypatch.setattr(graph, "library_versions", lambda *names: {"litert": "3"} if "fake_judge" in names else {"torch": "2"})
    before = run(tmp_path, second)
    assert work == ["first", "second"] * 2
    monkeypatch.setattr(graph, "library_versions", lambda *names: {"litert": "4"} if "fake_judge" in names else {"torch": "2"})
    runner = StageRunner(tmp_path, lambda line: None)
    assert runner.run(second) != before
    assert work == ["first", "second"] * 2 + ["second"]
    assert runner.libraries == {"litert": "4", "torch": "2"}
    assert json.loads((runner.run(second) / RECORD).read_text())["depends_on"]["libraries"] == {"litert": "4"}


def test_a_changed_file_of_a_folder_redoes_the_stage(tmp_path: Path, work: list[str]) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a").write_text("1")
    stage = replace(chain("abc").parents["first"], files={"weights": folder})
    build = tmp_path / "build"
    assert run(build, stage) == run(build, stage)
    (folder / "a").write_text("2")
    run(build, stage)
    (folder / "b").write_text("1")
    run(build, stage)
    assert work == ["first"] * 3


def test_interrupted_stage_goes_on_in_its_folder(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []

    def interrupted(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        folders.append(folder)
        if len(folders) == 1:
            (folder / "last.ckpt").write_text("half")
            raise KeyboardInterrupt
        (folder / "text").write_text((folder / "last.ckpt").read_text() + " done")

    monkeypatch.setattr(sys.modules["fake_first"], "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, chain("abc"))
    assert not (folders[0] / RECORD).exists()
    assert (run(tmp_path, chain("abc")) / "length").read_text() == "9"
    assert folders[0] == folders[1]


def test_what_an_interrupted_run_left_is_no_part_of_the_result(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half written files and results of another run are removed, checkpoints are not."""
    left: list[list[str]] = []

    def killed(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        left.append(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
        for name in (".half-x1.json", "last.ckpt", "report/.half-x2.json", "report/old"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("x")
        if len(left) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["fake_first"], "run", killed)
    stage = Stage("first", "fake_first", ("report",))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stage)
    run(tmp_path, stage)
    assert left == [[".lock"], [".lock", "last.ckpt"]]


def test_a_record_goes_before_what_it_records(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path, chain("abc"))
    (folder / "length").unlink()

    def killed(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        (folder / "length").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["fake_second"], "run", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, chain("abc"))
    assert (run(tmp_path, chain("abc")) / "length").read_text() == "3"


def test_lost_result_is_made_again(tmp_path: Path, work: list[str]) -> None:
    folder = run(tmp_path, chain("abc"))
    (folder / "length").unlink()
    assert (run(tmp_path, chain("abc")) / "length").read_text() == "3"
    assert work == ["first", "second", "second"]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_record_tells_what_was_made_and_all_that_it_depends_on(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given").write_text("given")
    weights = tmp_path / "weights"
    (weights / "more").mkdir(parents=True)
    for name in ("b", "a", "more/c"):
        (weights / name).write_text(name)
    files = {"one": tmp_path / "given", "folder": weights}
    stage = replace(chain("abc"), settings={"level": 0.5}, files=files, code=("fake_judge",))
    monkeypatch.setattr(graph, "time", types.SimpleNamespace(monotonic=iter([0.0, 0.0, 10.0, 12.34]).__next__))
    folder = run(tmp_path / "build", stage)
    depends_on = {
        "settings": {"level": 0.5},
        "parents": {"first": {"text": sha256("abc")}},
        "files": {"one": sha256("given"), "folder": {"a": sha256("a"), "b": sha256("b"), "more/c": sha256("more/c")}},
        "code": "code of fake_second fake_judge",
        "libraries": {"of": "fake_second fake_judge"},
    }
    expected = {"stage": "second", "depends_on": depends_on, "results": {"length": sha256("3")}, "seconds": 2.3}
    assert json.loads((folder / RECORD).read_text()) == expected
    assert folder.parent == tmp_path / "build"
    assert folder.name == f"second-{sha256(json.dumps(depends_on, sort_keys=True))[:12]}"


def test_a_stage_gets_its_settings_and_where_everything_is_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: list[str]
) -> None:
    taken = []

    def second(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        taken.append((folder, settings, inputs))
        (folder / "length").write_text("3")

    monkeypatch.setattr(sys.modules["fake_second"], "run", second)
    (tmp_path / "given").write_text("given")
    stage = replace(chain("abc"), settings={"level": 0.5}, files={"one": tmp_path / "given"})
    runner = StageRunner(tmp_path, lambda line: None)
    folder = runner.run(stage)
    assert taken == [(folder, {"level": 0.5}, {"one": tmp_path / "given", "first": runner.run(stage.parents["first"])})]


def test_a_runner_makes_and_tells_each_stage_once(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may be a path. What is there already is told as well."""
    first = replace(chain("abc").parents["first"], name="model/first")
    second = replace(chain("abc"), parents={"first": first, "same": first})
    monkeypatch.setattr(graph, "time", types.SimpleNamespace(monotonic=iter([1.0, 2.0, 3.0, 5.5]).__next__))
    for done in (False, True):
        told: list[str] = []
        runner = StageRunner(tmp_path, told.append)
        folders = [runner.run(stage) for stage in (first, second, first, second)]
        assert folders[:2] == folders[2:] and folders[0].parent == tmp_path / "model"
        made = ["model/first: fake_first", f"model/first: 1.0 s, in {folders[0]}", "second: fake_second", f"second: 2.5 s, in {folders[1]}"]
        assert told == ([f"model/first: done before ({folders[0]})", f"second: done before ({folders[1]})"] if done else made)
    assert work == ["first", "second"]


def test_digests_are_those_of_every_result(tmp_path: Path, work: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder its files; of a stage that was done before as of one that is done now. Other files of its folder are no results."""

    def first(folder: Path, settings: dict[str, str], inputs: dict[str, Path]) -> None:
        (folder / "report" / "inner").mkdir(parents=True)
        for name in ("text", "report/b", "report/inner/a", "last.ckpt"):
            (folder / name).write_text(name)

    monkeypatch.setattr(sys.modules["fake_first"], "run", first)
    stage = Stage("first", "fake_first", ("text", "report"))
    for _ in range(2):
        runner = StageRunner(tmp_path, lambda line: None)
        assert runner.digests(stage) == {name: sha256(name) for name in ("text", "report/b", "report/inner/a")}


def test_a_runner_waits_for_another_that_makes_the_same(tmp_path: Path, work: list[str]) -> None:
    stage = chain("abc").parents["first"]
    folder = run(tmp_path, stage)
    (folder / RECORD).unlink()
    with (folder / LOCK).open("w") as stream, ThreadPoolExecutor() as pool:
        fcntl.flock(stream, fcntl.LOCK_EX)
        waiting = pool.submit(run, tmp_path, stage)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        assert work == ["first"]
        fcntl.flock(stream, fcntl.LOCK_UN)
        assert waiting.result(60) == folder
    assert work == ["first"] * 2


def test_each_stage_is_told_as_one_of_those_expected(tmp_path: Path, work: list[str]) -> None:
    lines: list[str] = []
    for _ in range(2):
        runner = StageRunner(tmp_path, lines.append)
        runner.expect(chain("abc"), chain("abc"))
        runner.run(chain("abc"))
    starts = [line.partition(":")[0] for line in lines]
    assert starts == ["1/2 first", "1/2 first", "2/2 second", "2/2 second", "1/2 first", "2/2 second"]
    assert all(": done before (" in line for line in lines[4:])
    StageRunner(tmp_path, lines.append).run(chain("abcd").parents["first"])
    assert lines[-2].startswith("first: fake_first (last time ")

"""Calls on a Ray cluster: what is told without one, and with ``-m slow`` on two nodes of a cluster on this computer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from export_specs.foundation.cluster import _call, cluster
from export_specs.foundation.errors import UserError
from pipeline.stages.graph import StageRunner
from pipeline.study import running
from pipeline.study.plan import Grid, Plan
from tests.study.test_study import STUDY
from tests.tiny import tiny_spec, write_speech
from tests.validation.whole_set.test_whole_set import make_set, stages
from validation.whole_set.run import evaluate


def where(number: int, seconds: float) -> tuple[int, str, str]:
    import ray

    time.sleep(seconds)
    return number, ray.get_runtime_context().get_node_id(), str(Path.cwd())


def refuse(what: str) -> None:
    raise UserError(f"{what} is no number of steps")


def die(marks: Path, lives: int) -> str:
    """End the process, as where memory is full, for the first ``lives`` calls."""
    count = len(list(marks.iterdir()))
    if count < lives:
        (marks / str(count)).touch()
        os._exit(1)
    return f"made after {count} losses"


def test_without_ray_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install -r requirements/cluster\.lock"), cluster("auto"):
        pass


def test_a_computer_that_does_not_see_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shared = tmp_path / "shared"
    answer = _call(str(shared / "mark"), max, (1, 2), {})
    assert isinstance(answer, UserError) and "does not see the folder" in str(answer) and os.uname().nodename in str(answer)
    shared.mkdir()
    (shared / "mark").touch()
    assert _call(str(shared / "mark"), max, (1, 2), {}) == 2 and Path.cwd() == shared
    assert str(_call(str(shared / "mark"), refuse, ("ten",), {})) == "ten is no number of steps"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:port"])
def test_an_address_where_nothing_answers_is_told(address: str) -> None:
    pytest.importorskip("ray", reason="pip install -r requirements/cluster.lock")
    with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}'"), cluster(address):
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with one processor each. The second node waits for the first: a busy computer starts one in a minute."""
    utilities = pytest.importorskip("ray.cluster_utils", reason="pip install -r requirements/cluster.lock")
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    made = utilities.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made.add_node(**node)
    yield made.address
    made.shutdown()


@pytest.mark.slow
def test_both_nodes_are_called_in_this_folder_and_answers_keep_their_order(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with cluster(address) as computers:
        answers = list(computers.map(where, range(4), [2.0] * 4))
        with pytest.raises(UserError, match=r"^x is no number of steps$"):
            computers.submit(refuse, "x").result()
        with pytest.raises(ZeroDivisionError):
            computers.submit(divmod, 1, 0).result()
    assert [answer[0] for answer in answers] == [0, 1, 2, 3]
    assert len({answer[1] for answer in answers}) == 2 and {answer[2] for answer in answers} == {str(tmp_path)}
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_lost_call_is_made_again_and_one_that_is_always_lost_is_told(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (once := tmp_path / "once").mkdir()
    (always := tmp_path / "always").mkdir()
    with cluster(address) as computers:
        assert computers.submit(die, once, 1).result() == "made after 1 losses"
        with pytest.raises(UserError, match="a computer of the cluster was lost"):
            computers.submit(die, always, 99).result()


@pytest.mark.slow
def test_a_test_set_is_scored_as_on_one_processor(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, both = make_set(tmp_path), stages(tmp_path)
    alone = evaluate(whole, both, tmp_path / "alone.jsonl", workers=1)
    together = evaluate(whole, both, tmp_path / "cluster.jsonl", cluster=address)
    assert [found.key for found in together] == [found.key for found in alone]
    for one, other in zip(alone, together, strict=True):
        for name in ("one", "two"):
            ours, theirs = one.scores[name], other.scores[name]
            assert ours.score == theirs.score
            # equations solved on one thread instead of several: the last digits differ
            assert ours.filtered_sdr == pytest.approx(theirs.filtered_sdr, rel=1e-9)


@pytest.mark.slow
def test_a_study_of_two_arms_is_made_on_the_nodes(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the driver finds every run done; one that ends with an error is named."""
    monkeypatch.chdir(tmp_path)
    write_speech(tmp_path / "speech", speakers=8, utterances=6, seconds=2)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_spec().model_dump(mode="json") | {"segment_samples": 4000}))
    (tmp_path / "little.yaml").write_text(STUDY)
    grid = Grid(study="little.yaml", spec="tiny.yaml", data="folder:speech")
    said: list[str] = []
    plan, runner = Plan(grid), StageRunner(running.BUILD, said.append)
    runner.run(plan.evaluation)
    arms = [(run.arm, run.seed) for run in plan.everything]
    with cluster(address) as computers:
        running.make_runs(grid, arms, computers)
        with pytest.raises(UserError, match=r"1 of 1 runs failed.*missing \(seed 0\)"):
            running.make_runs(grid, [("missing", 0)], computers)
    said.clear()
    for arm, seed in arms:
        runner.run(plan.run_of(arm, seed).stage)
    assert len(arms) >= 2 and said and all("done before" in line for line in said), said

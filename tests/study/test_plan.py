"""A study as stages: every arm by its own method, all with the same budget, examples and mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from export_specs.foundation.errors import UserError
from export_specs.load import load_study, study_names
from export_specs.method import METHODS
from export_specs.study import Arm, Study
from pipeline.stages.graph import Stage
from pipeline.study.plan import Grid, Plan


def weights(plan: Plan, arm: str, seed: int = 0) -> Stage:
    return plan.run_of(arm, seed).stage.parents["weights"]


def plan(study: str = "ablation", **settings: Any) -> Plan:
    return Plan(Grid(study=study, **settings))


def test_the_paper_s_studies_are_there_and_can_be_planned() -> None:
    assert study_names() == ["ablation", "bound", "io-precision", "lambda", "sensitivity", "snr-histogram", "tables"]
    for name in study_names():
        made = plan(name)
        assert len(made.runs) == sum(1 if arm.network == "shipped" else made.study.seeds for arm in made.study.arms.values())


def test_every_arm_has_the_budget_of_the_others() -> None:
    made = plan(steps=70, seeds=2)
    for seed in range(2):
        profiles = []
        for run in (run for run in made.runs if run.seed == seed):
            stage = weights(made, run.arm, seed)
            trained = stage.parents["training"] if run.arm == "further-float" else stage
            profiles.append(trained.settings["spec"]["profiles"]["full"])
            assert trained.settings["data"]["name"] == "embedded"
        assert len(profiles) == 8
        assert all(profile == profiles[0] for profile in profiles)
        assert profiles[0]["steps"] == 70 and profiles[0].get("seed", 0) == seed
    assert len({id(run.stage.parents["evaluation"].settings["mixtures"]) for run in made.runs}) == 1


def test_arms_differ_in_their_methods_alone() -> None:
    made = plan(steps=70, seeds=1)
    assert weights(made, "fqss").settings["recipe"] == {"variant": "fqss", "norm": "scalar-gain"}
    assert weights(made, "vanilla").settings["recipe"] == {"variant": "vanilla", "norm": "scalar-gain"}
    sakd = weights(made, "sakd").settings["recipe"]["changed"]
    assert sakd == METHODS["vanilla"].model_copy(update={"kd_lambda": 0.1}).model_dump(mode="json")
    frozen = weights(made, "vanilla-min-max").settings["recipe"]["changed"]
    assert (frozen["calibration"], frozen["ranges"]) == ("min-max", "frozen")


def test_what_is_not_trained_does_not_depend_on_how_it_would_be() -> None:
    """Arms of two studies, with distillation and without, are one network where there are no steps."""
    first, second = weights(plan("sensitivity"), "all"), weights(plan("io-precision"), "byte-byte")
    assert first == second
    assert weights(plan("sensitivity", steps=9), "all") != weights(plan("io-precision", steps=9), "byte-byte")


def test_the_float_network_is_trained_further_from_where_all_start() -> None:
    made = plan(steps=70, seeds=1)
    levelled = weights(made, "further-float")
    assert levelled.module == "pipeline.stages.teacher_weights" and not levelled.files
    training = levelled.parents["training"]
    assert training.module == "pipeline.study.further_training"
    assert training.parents["teacher"] == made.reference.stage.parents["weights"] == weights(made, "fqss").parents["teacher"]


def test_what_ships_is_taken_as_it_is() -> None:
    stage = weights(plan("bound"), "vanilla")
    assert stage.module == "pipeline.stages.committed_weights"
    assert stage.files["weights"].name == "qat-vanilla-scalar-gain-full.safetensors"
    with pytest.raises(UserError, match=r"no quantized weights .* of convtasnet-medium ship"):
        plan("bound", model="convtasnet-medium")


def test_arms_are_chosen_by_name() -> None:
    made = plan(steps=5, seeds=1, arms=("fqss", "sakd"))
    assert [run.arm for run in made.runs] == ["sakd", "fqss"]
    assert made.study.against == ""  # vanilla is not among them
    assert plan(arms=("fqss", "vanilla")).study.against == "vanilla"
    with pytest.raises(UserError, match=r"unknown arm 'fqs'.*fqss"):
        plan(arms=("fqs",))


def test_a_study_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="further-float needs steps"):
        plan(steps=0)
    with pytest.raises(UserError, match=r"unknown study 'ablations'.*ablation"):
        plan("ablations")
    own = tmp_path / "own.yaml"
    own.write_text(
        yaml.safe_dump({"name": "own", "description": "", "extends": "lambda", "arms": {"lambda-9": {"method": {"kd_lambda": 9}}}})
    )
    with pytest.raises(UserError, match="kd_lambda"):
        load_study(str(own))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"against": "none", "arms": {"one": {}}}, "there is no arm 'none'"),
        ({"arms": {}}, "has some arms"),
        ({"kind": "snr-histogram", "arms": {"one": {}}}, "has no arms"),
    ],
)
def test_contradictions_of_a_study(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Study.model_validate({"name": "x", "title": "x", "description": "x", **fields})


def test_what_ships_has_no_method_of_its_own() -> None:
    with pytest.raises(ValueError, match="network: shipped has no method"):
        Arm(network="shipped", method={"kd_lambda": 0.5})

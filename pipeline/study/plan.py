"""A study as stages: of every arm and seed the training, and what the trained network gives. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from export_specs.foundation.errors import UserError, choice_error
from export_specs.load import load_study
from export_specs.schema import Profile
from export_specs.strict import Strict
from export_specs.study import Arm, Study
from pipeline.quantization.recipe import Recipe
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import Stage
from pipeline.stages.shipped_weights import quantized_name, shipped_quantized

TARGET = "tflite-int8"  # whose norms the networks have
PROFILE: Profile = "full"  # whose batches and learning rate they are trained with
SETS = ("test", "sweep")
FLOAT = "float"  # the float network, as an arm


class Grid(Strict):
    """A study as it is asked for; the same grid is the same stages.

    ``spec``: a user's own model (YAML), instead of ``model``. ``checkpoint``: float weights of the user's.
    """

    study: str
    model: str = ""
    spec: str = ""
    data: str = ""
    checkpoint: str = ""
    steps: int | None = Field(default=None, ge=0)
    seeds: int | None = Field(default=None, gt=0)
    mixtures: int | None = Field(default=None, gt=0)
    arms: tuple[str, ...] = ()

    def resolved(self) -> Study:
        """The study with the settings that were given, and of its arms those that were named.

        Raises:
            UserError: an unknown study or arm; a study that cannot be with these settings.
        """
        study = load_study(self.study)
        if unknown := [name for name in self.arms if name not in study.arms]:
            raise choice_error("arm", unknown[0], list(study.arms))
        given = {name: value for name in ("steps", "seeds", "mixtures") if (value := getattr(self, name)) is not None}
        arms = {name: arm.model_dump() for name, arm in study.arms.items() if not self.arms or name in self.arms}
        against = study.against if study.against in arms else ""
        try:
            return Study.model_validate({**study.model_dump(), **given, "arms": arms, "against": against})
        except ValueError as error:
            raise UserError(f"the study {study.name} cannot be with these settings: {error}") from error


@dataclass(frozen=True)
class Run:
    """One network of a study: its ``stage`` writes what it gives on each set."""

    arm: str
    seed: int
    stage: Stage


class Plan:
    """The stages of a grid: ``evaluation`` and ``reference`` (what the float network gives), and the ``runs`` of each arm and seed."""

    def __init__(self, grid: Grid) -> None:
        self.study = grid.resolved()
        choice = Choice.of(grid.model or self.study.model, TARGET, PROFILE, grid.data, grid.checkpoint, grid.spec)
        first = self._deployment(choice, 0)
        self.choice, self.spec, self.evaluation = first.choice, first.choice.spec, first.evaluation
        self.reference = Run(FLOAT, 0, self._outputs(first, first.teacher, None))
        self.runs = [
            Run(name, seed, self._of_arm(self._deployment(choice, seed), name, arm))
            for name, arm in self.study.arms.items()
            for seed in range(1 if arm.network == "shipped" else self.study.seeds)
        ]

    @property
    def everything(self) -> list[Run]:
        """All networks: none where a study looks at the mixtures alone."""
        return [self.reference, *self.runs] if self.runs else []

    def run_of(self, arm: str, seed: int) -> Run:
        """The run of an arm with a seed, or the reference."""
        return next(run for run in self.everything if (run.arm, run.seed) == (arm, seed))

    def _deployment(self, choice: Choice, seed: int) -> Deployment:
        changes = {"steps": self.study.steps, "seed": seed, "validation_mixtures": self.study.mixtures}
        profile = choice.spec.profiles[PROFILE].model_copy(update=changes)
        return Deployment(replace(choice, spec=choice.spec.model_copy(update={"profiles": {**choice.spec.profiles, PROFILE: profile}})))

    def _of_arm(self, deployment: Deployment, name: str, arm: Arm) -> Stage:
        spec, norm = deployment.choice.spec, deployment.choice.target.norm_recipe
        if arm.network == "quantized":
            method = arm.whole_method()
            recipe = Recipe(arm.variant, norm, method) if self.study.steps else Recipe("fqss", norm, method.calibrated())
            made = deployment.trained_by(quantized_name(spec, recipe.variant, norm, PROFILE), recipe.settings(), PROFILE)
            return self._outputs(deployment, made, recipe)
        if arm.network == "shipped":
            path = shipped_quantized(spec, arm.variant, norm)
            if path is None:
                raise UserError(f"no quantized weights ({arm.variant}) of {spec.name} ship, which arm {name} of study {self.study.name} is")
            return self._outputs(deployment, _committed(spec.name, path), Recipe(arm.variant, norm))
        settings = {"spec": deployment.for_training(PROFILE), "profile": PROFILE, "data": deployment.data}
        parents = {"teacher": deployment.teacher}
        training = Stage(f"{spec.name}/further", "pipeline.study.further_training", ("float.safetensors",), settings, parents)
        return self._outputs(deployment, replace(deployment.teacher, files={}, parents={"training": training}), None)

    def _outputs(self, deployment: Deployment, weights: Stage, recipe: Recipe | None) -> Stage:
        settings = {
            "spec": deployment.without_training(deployment.choice.spec),
            "recipe": None if recipe is None else recipe.settings(),
            "sets": list(SETS),
        }
        parents = {"weights": weights, "evaluation": deployment.evaluation}
        return Stage(f"{deployment.choice.spec.name}/arm-outputs", "pipeline.study.arm_outputs", ("outputs",), settings, parents)


def _committed(model: str, weights: Path) -> Stage:
    return Stage(f"{model}/{weights.stem}", "pipeline.stages.committed_weights", ("quantized.safetensors",), files={"weights": weights})

"""What is refused before the first stage."""

from pathlib import Path

import pytest

from export_specs.foundation.errors import UserError
from pipeline.layers.global_norm.recipes import RECIPES
from pipeline.stages.choice import Choice, norm_recipes


def test_norm_recipes_are_found_without_importing_them() -> None:
    assert norm_recipes() == sorted(RECIPES)


def test_a_target_with_an_unknown_norm_recipe_is_refused_with_the_right_ones(tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    target.write_text("name: board\nextends: tflite-int8\nnorm_recipe: scalar-gane\n")
    with pytest.raises(UserError, match=r"unknown norm recipe 'scalar-gane'.*int16-elementwise, runtime-filter, scalar-gain"):
        Choice.of("convtasnet", str(target), "ptq", "", "", "")

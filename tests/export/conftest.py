from __future__ import annotations

import pytest
import torch

from pipeline.export.qdq import build_model
from tests.eager import eager
from tests.export.exported import METADATA, Exported
from tests.tiny import (
    RECIPES,
    quantized_network,
    recipe_name,
    tiny_spec,
)

__all__ = ["eager"]


@pytest.fixture(scope="module", params=RECIPES, ids=recipe_name)
def exported(request: pytest.FixtureRequest) -> Exported:
    torch.compiler.set_stance("force_eager")
    network = quantized_network(tiny_spec(), request.param)
    return Exported(request.param, network, build_model(network, METADATA))

"""Position tables of a SepFormer, the same in every layer, after training."""

from __future__ import annotations

import pytest
import torch

from pipeline.layers.tables.quantized import QuantizedPositionTable
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import grouped_by_rate
from tests.tiny import mixtures, quantized_network, tiny_sepformer


@pytest.mark.parametrize("path", ["intra", "inter"])
def test_training_leaves_the_tables_of_a_path_on_one_grid(path: str) -> None:
    spec = tiny_sepformer()
    network = quantized_network(spec, Recipe("fqss", "scalar-gain")).train()
    tables = [module for name, module in network.named_modules() if isinstance(module, QuantizedPositionTable) and path in name]
    outputs_before = [table.output_quantizer.maximum.item() for table in tables]
    optimizer = torch.optim.Adam(grouped_by_rate(network, 1e-2))
    for seed in range(2):
        optimizer.zero_grad()
        network(mixtures(spec, 2, seed)).square().mean().backward()
        optimizer.step()
    assert len(tables) > 1
    assert all(table.output_quantizer.maximum.item() != before for table, before in zip(tables, outputs_before, strict=True))
    with torch.no_grad():
        first, *others = [table.table(4) for table in tables]
    assert all(torch.equal(first, other) for other in others)
    assert torch.unique(first).numel() > 2

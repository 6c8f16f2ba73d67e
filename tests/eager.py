"""A fixture for tests of quantized networks."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Compiling takes longer than these tests; that both forms agree is a test of its own."""
    torch.set_num_threads(1)
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")

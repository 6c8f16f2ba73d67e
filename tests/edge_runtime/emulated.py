"""The emulated aarch64 processor for slow tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.arm64_prefix import make_prefix
from export_specs.foundation.errors import UserError


def prefix_or_skip() -> Path:
    """Its Python and runtimes, made where they are not there yet (the network and a minute); the test is skipped where that fails."""
    try:
        return make_prefix()
    except UserError as error:
        pytest.skip(str(error))

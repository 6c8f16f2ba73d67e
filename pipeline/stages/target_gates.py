"""Stage before all others for a target that changes gates: the judge says whether there are such gates and settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from export_specs.foundation.atomic import write_text
from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import handed_over


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``settings``: target. Makes ``gates.json``, what the target changes.

    Raises:
        UserError: an unknown gate or setting, or a value of another kind; the judge has told which.
    """
    target = folder / "target.yaml"
    write_text(target, yaml.safe_dump(settings["target"]))
    with handed_over():
        code = run_child([sys.executable, "-m", "validation", "gates", "--target", str(target)]).returncode
    if code:
        raise UserError(f"the gates of the target {settings['target']['name']} are not valid; see above, and docs/how-to/add-a-target.md")
    write_text(folder / "gates.json", json.dumps(settings["target"]["gates"], indent=1, sort_keys=True) + "\n")

"""What the user asked for, checked before anything is made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from export_specs.foundation.errors import UserError, choice_error
from export_specs.inheritance import is_file_name
from export_specs.load import load_model, load_target, target_names
from export_specs.schema import ModelSpec, Profile, TargetSpec
from pipeline.data.sources import data_for
from pipeline.stages.data_choice import data_identity

PROFILES: tuple[Profile, ...] = get_args(Profile)


@dataclass(frozen=True)
class Choice:
    """Names that exist, and the specs behind them.

    ``settings``: what was given, by the names that make knows (MODEL or SPEC, TARGET, PROFILE, DATA, CHECKPOINT); the same settings
    choose the same again.
    """

    spec: ModelSpec
    target: TargetSpec
    profile: Profile
    data: str
    checkpoint: Path | None
    settings: Mapping[str, str]

    @classmethod
    def of(cls, model: str, target: str, profile: str, data: str, checkpoint: str, spec_file: str) -> Choice:
        """Check the settings as the command line gives them; "" stands for not given.

        Raises:
            UserError: an unknown name, with the right ones; a missing file; a spec that breaks the schema.
        """
        target_spec = load_target(target)
        if is_file_name(target) and target_spec.name in target_names():
            raise UserError(f"the target {target} has the name of one that ships, {target_spec.name}; give it a name of its own")
        chosen_profile = next((name for name in PROFILES if name == profile), None)
        if chosen_profile is None:
            raise choice_error("profile", profile, list(PROFILES))
        spec = load_model(spec_file or model)
        if checkpoint and not Path(checkpoint).exists():
            raise UserError(
                f"the checkpoint {checkpoint} does not exist; CHECKPOINT names a .safetensors, .pth, .ckpt or .onnx file of float weights, "
                "or SpeechBrain's folder of encoder.ckpt, masknet.ckpt and decoder.ckpt"
            )
        if chosen_profile not in spec.profiles:
            raise UserError(f"the spec of {spec.name} has no profile '{profile}'. It has: {', '.join(sorted(spec.profiles))}.")
        data = data_for(spec.task, data)
        data_identity(data)
        which = {"SPEC": spec_file} if spec_file else {"MODEL": model}
        settings = {**which, "TARGET": target, "PROFILE": profile, "DATA": data, **({"CHECKPOINT": checkpoint} if checkpoint else {})}
        return cls(spec, target_spec, chosen_profile, data, Path(checkpoint) if checkpoint else None, settings)

    @property
    def command(self) -> str:
        """The command that makes the same again."""
        return "make deploy " + " ".join(f"{name}={shlex.quote(value)}" for name, value in self.settings.items())

"""What the user asked for, checked before anything is made."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from export_specs.foundation.discovery import member_names
from export_specs.foundation.errors import UserError, choice_error
from export_specs.inheritance import is_file_name
from export_specs.load import load_model, load_target, target_names
from export_specs.schema import ModelSpec, Profile, TargetSpec
from pipeline.data.sources import data_for
from pipeline.stages.data_choice import data_identity
from pipeline.stages.shipped_weights import shipped_quantized

SHIPPED: Literal["shipped"] = "shipped"  # PROFILE: the quantized weights that ship, of plan "full"; nothing is trained
PROFILES: tuple[Profile | Literal["shipped"], ...] = (SHIPPED, *get_args(Profile))
SHIPPED_MIXTURES = 96  # judged of what ships: enough to decide the gates, in minutes


@dataclass(frozen=True)
class Choice:
    """Names that exist, and the specs behind them.

    ``settings``: what was given, by the names that make knows (MODEL or SPEC, TARGET, PROFILE, DATA, CHECKPOINT, SEGMENT); the same
    settings choose the same again. ``profile`` is PROFILE, ``plan`` the training plan whose weights and limits of gates it takes.
    """

    spec: ModelSpec
    target: TargetSpec
    profile: Profile | Literal["shipped"]
    data: str
    checkpoint: Path | None
    settings: Mapping[str, str]

    @classmethod
    def of(cls, model: str, target: str, profile: str, data: str, checkpoint: str, spec_file: str, segment: str = "") -> Choice:
        """Check the settings as the command line gives them; "" stands for not given.

        Raises:
            UserError: an unknown name, with the right ones; a missing file; a spec that breaks the schema.
        """
        target_spec = load_target(target)
        if is_file_name(target) and target_spec.name in target_names():
            raise UserError(f"the target {target} has the name of one that ships, {target_spec.name}; give it a name of its own")
        if target_spec.norm_recipe not in norm_recipes():
            raise choice_error("norm recipe", target_spec.norm_recipe, norm_recipes())
        if profile and profile not in PROFILES:
            raise choice_error("profile", profile, list(PROFILES))
        spec = load_model(spec_file or model)
        if segment:
            spec = _with_segment(spec, segment)
        if spec.method.simulated_only:
            raise UserError(
                f"the spec of {spec.name} has a method for studies alone ({', '.join(spec.method.simulated_only)}): no file can be it"
            )
        ships = shipped_quantized(spec, "fqss", target_spec.norm_recipe) is not None
        if not profile:
            profile = SHIPPED if ships and not checkpoint and not data else "quick"
        elif profile == SHIPPED and not ships:
            raise UserError(f"no quantized weights of {spec.name} for {target_spec.name} ship; train them: PROFILE=quick or PROFILE=full")
        elif profile == SHIPPED and checkpoint:
            raise UserError("PROFILE=shipped takes the weights that ship; with a CHECKPOINT of your own choose ptq, quick or full")
        chosen_profile = next(name for name in PROFILES if name == profile)
        if checkpoint and not Path(checkpoint).exists():
            raise UserError(
                f"the checkpoint {checkpoint} does not exist; CHECKPOINT names a .safetensors, .pth, .ckpt or .onnx file of float weights, "
                "or SpeechBrain's folder of encoder.ckpt, masknet.ckpt and decoder.ckpt"
            )
        if chosen_profile != SHIPPED and chosen_profile not in spec.profiles:
            raise UserError(f"the spec of {spec.name} has no profile '{profile}'. It has: {', '.join(sorted(spec.profiles))}.")
        data = data_for(spec.task, data)
        data_identity(data)
        which = {"SPEC": spec_file} if spec_file else {"MODEL": model}
        settings = {
            **which,
            "TARGET": target,
            "PROFILE": profile,
            "DATA": data,
            **{name: value for name, value in (("CHECKPOINT", checkpoint), ("SEGMENT", segment)) if value},
        }
        return cls(spec, target_spec, chosen_profile, data, Path(checkpoint) if checkpoint else None, settings)

    @property
    def plan(self) -> Profile:
        """The plan of quantization-aware training whose weights are taken or made, and whose limits the gates have."""
        return "full" if self.profile == SHIPPED else self.profile

    @property
    def mixtures(self) -> int:
        """How many mixtures the report judges."""
        mixtures = self.spec.profiles[self.plan].validation_mixtures
        return min(mixtures, SHIPPED_MIXTURES) if self.profile == SHIPPED else mixtures

    @property
    def command(self) -> str:
        """The command that makes the same again."""
        return "make deploy " + " ".join(f"{name}={shlex.quote(value)}" for name, value in self.settings.items())


def _with_segment(spec: ModelSpec, segment: str) -> ModelSpec:
    try:
        seconds = float(segment)
        if not 0 < seconds < math.inf:
            raise ValueError("it must be above 0")
        return spec.with_segment(seconds)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"SEGMENT={segment} is no length of segments in seconds that {spec.name} can have, as 0.5 is: {reason}") from error


def norm_recipes() -> list[str]:
    """Names of the integer norms that a target can ask for, found without importing them."""
    return [name.replace("_", "-") for name in member_names("pipeline.layers.global_norm.recipes")]

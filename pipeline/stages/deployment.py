"""The stages of one deployment and how they hang together. Nothing here imports torch: a finished deployment is found to be so at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from export_specs.foundation.code_version import ROOT, installed_versions
from export_specs.method import METHODS, Variant
from export_specs.schema import ModelSpec, TrainingSpec
from pipeline.data.sources import data_for
from pipeline.quantization.recipe import Recipe
from pipeline.stages.choice import SHIPPED, Choice
from pipeline.stages.data_choice import data_identity
from pipeline.stages.graph import Stage
from pipeline.stages.shipped_weights import FLOAT, quantized_name, shipped_file, shipped_quantized

BASELINES = {"shipped": (), "ptq": (), "quick": ("ptq",), "full": ("ptq", "vanilla")}  # shown beside ours in the report
EVALUATION_SETS = ("test", "sweep", "dev", "calibration")
MUSIC_SETS = (*EVALUATION_SETS, "tracks")
TRAINED_ON = ("rendered-stems",)  # what the weights that ship have heard, of which the default data for music is a part
ONNX2TF = ROOT / ".venv-onnx2tf"
ONNX2TF_PROGRAM = {"program": ROOT / "pipeline" / "convert" / "onnx2tf_program.py"}
PACKAGE = ROOT / "pipeline" / "package"
C_PACKAGE_FILES = {
    name: PACKAGE / name for name in ("c_int8/kernels", "c_int8/templates", "c_int8/stream_templates", "separator", "stream")
}
TFLM_KIT_FILES = {name: PACKAGE / name for name in ("tflm/templates", "tflm/stream_templates", "c_int8/kernels", "separator", "stream")}
VALIDATION_FILES = {
    f"validation/{path.name}": path for pattern in ("*.json", "templates/*") for path in (ROOT / "validation").glob(pattern)
}


class Deployment:
    """The stages of a :class:`Choice`, by name; those that a target does not need are absent."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.data = {"name": choice.data, "fingerprint": data_identity(choice.data)}
        self._spec = choice.spec.model_dump(mode="json")
        self.dry_conversion = self._dry_conversion()
        self.target_gates = self._target_gates()
        self.teacher = self._teacher()
        self.float_export = self._stage("float-onnx", "float_export", ("float.onnx",), {"spec": self._spec}, teacher=self.teacher)
        self.evaluation = self._evaluation()
        self.quantized: Stage | None = None
        self.onnx: Stage | None = None
        self.tflite: Stage | None = None
        self.stream_onnx: Stage | None = None
        self.stream_tflite: Stage | None = None
        if choice.target.converter in ("own", "none"):
            self.quantized = self._quantized("fqss", choice.plan)
            self.onnx = self._qdq("fqss", choice.plan)
            self.stream_onnx = self._streaming(self.onnx)
            if choice.target.converter == "own":
                self.tflite = self._conversion("tflite", self.onnx)
                self.stream_tflite = None if self.stream_onnx is None else self._conversion("stream-tflite", self.stream_onnx)
        else:
            self.tflite = self._onnx2tf(choice.target.converter == "onnx2tf-int8", "onnx2tf_conversion", "model.tflite")
        self.report = self._report()
        self.package = self._package()

    @property
    def everything(self) -> list[Stage]:
        """What a distribution is made of, besides what these stages depend on."""
        made = (self.report, self.tflite, self.onnx, self.stream_tflite, self.stream_onnx, self.package)
        return [stage for stage in made if stage is not None]

    def _stage(self, name: str, module: str, results: tuple[str, ...], settings: Mapping[str, Any], **parents: Stage) -> Stage:
        return Stage(f"{self.choice.spec.name}/{name}", f"pipeline.stages.{module}", results, settings, parents)

    def _dry_conversion(self) -> Stage:
        """To be run before all others: it refuses a network that the target cannot take."""
        target = self.choice.target
        streaming = self.choice.spec.streaming
        settings = {
            "spec": self.without_training(self.choice.spec),
            "hop_frames": None if streaming is None else streaming.hop_frames,
            "recipe": self._recipe("fqss"),
            "narrow_ends": self._narrow_ends,
            "target": target.name,
            "converter": target.converter,
            "allowed_ops": list(target.allowed_ops),
        }
        stage = self._stage("dry-conversion", "dry_conversion", ("operators.json",), settings)
        return _run_by_onnx2tf(stage) if target.converter.startswith("onnx2tf") else stage

    def _target_gates(self) -> Stage | None:
        """To be run before all others where the target changes gates: it refuses those that do not exist."""
        target = self.choice.target
        if not target.gates:
            return None
        stage = self._stage(f"gates-{target.name}", "target_gates", ("gates.json",), {"target": target.model_dump(mode="json")})
        return replace(stage, code=("validation.__main__",))

    def _teacher(self) -> Stage:
        settings = {"spec": self.without_training(self.choice.spec), "data": self.data}
        stage = self._stage("teacher", "teacher_weights", ("float.safetensors",), settings)
        checkpoint = self.choice.checkpoint or shipped_file(self.choice.spec, FLOAT)
        if checkpoint is not None:
            return replace(stage, files={"checkpoint": checkpoint})
        return replace(stage, parents={"training": self.trained_teacher()})

    def trained_teacher(self) -> Stage:
        """The stage that trains the float network from the data, from CHECKPOINT on where one is given."""
        settings = {"spec": self._spec, "data": self.data}
        stage = self._stage("training", "trained_teacher", ("float.safetensors",), settings)
        return stage if self.choice.checkpoint is None else replace(stage, files={"start": self.choice.checkpoint})

    def _evaluation(self) -> Stage:
        spec = self.choice.spec
        settings = {
            "data": self.data,
            "sample_rate": spec.sample_rate,
            "segment_samples": spec.segment_samples,
            "task": spec.task,
            "noise_snr_db": spec.noise_snr_db,
            "mixtures": self.choice.mixtures,
        }
        return self._stage("evaluation", "evaluation_data", MUSIC_SETS if spec.task == "music" else EVALUATION_SETS, settings)

    def _recipe(self, variant: Variant) -> dict[str, Any]:
        """``fqss`` is what the spec's method says."""
        changed = self.choice.spec.method if variant == "fqss" else None
        return Recipe(variant, self.choice.target.norm_recipe, changed).settings()

    @property
    def _narrow_ends(self) -> bool:
        return "narrow-ends" in self.choice.target.rewrites

    def _quantized(self, variant: Variant, profile: str) -> Stage:
        norm = self.choice.target.norm_recipe
        name, results = quantized_name(self.choice.spec, variant, norm, profile), ("quantized.safetensors",)
        # trained from the float weights that ship, on the default data or all of it; what PROFILE=shipped names are they, whatever judges
        data = (data_for(self.choice.spec.task, ""), *TRAINED_ON)
        ours = self.choice.checkpoint is None and self.choice.data in data and profile != "ptq"
        shipped = ours or self.choice.profile == SHIPPED
        committed = shipped_quantized(self.choice.spec, variant, norm, profile) if shipped else None
        if committed is not None:
            return Stage(f"{self.choice.spec.name}/{name}", "pipeline.stages.committed_weights", results, files={"weights": committed})
        return self.trained_by(name, self._recipe(variant), profile)

    def trained_by(self, name: str, recipe: Mapping[str, Any], profile: str) -> Stage:
        """The stage that quantizes and trains by a recipe; calibrates alone where the profile has no steps."""
        settings = {"spec": self.for_training(profile), "recipe": recipe, "profile": profile, "data": self.data}
        return self._stage(name, "quantized_weights", ("quantized.safetensors",), settings, teacher=self.teacher)

    def _qdq(self, variant: Variant, profile: str) -> Stage:
        settings = {
            "spec": self._spec,
            "recipe": self._recipe(variant),
            "target": self.choice.target.name,
            "narrow_ends": self._narrow_ends,
        }
        name = f"onnx-{variant}-{self.choice.target.norm_recipe}-{profile}"
        return self._stage(name, "qdq_export", ("model.qdq.onnx",), settings, quantized=self._quantized(variant, profile))

    def _streaming(self, whole: Stage) -> Stage | None:
        """The graph of one step, of a network that is to stream."""
        streaming = self.choice.spec.streaming
        if streaming is None:
            return None
        return self._stage("stream-onnx", "stream_export", ("model.stream.qdq.onnx",), {"hop_frames": streaming.hop_frames}, onnx=whole)

    def _conversion(self, name: str, onnx: Stage) -> Stage:
        """A file of QDQ ONNX as TFLite, under the same name."""
        target, (source,) = self.choice.target, onnx.results
        result = source.replace(".qdq.onnx", ".tflite")
        settings = {"source": source, "result": result, "allowed_ops": list(target.allowed_ops), "runtimes": list(target.runtimes)}
        settings["rewrites"] = list(target.rewrites)
        return self._stage(name, "conversion", (result,), settings, onnx=onnx)

    def _onnx2tf(self, int8: bool, module: str, result: str) -> Stage:
        settings = {"int8": int8, "segment_samples": self.choice.spec.segment_samples}
        parents = {"float": self.float_export, **({"evaluation": self.evaluation} if int8 else {})}
        stage = self._stage(f"onnx2tf-{'int8' if int8 else 'float32'}", module, (result,), settings, **parents)
        return _run_by_onnx2tf(stage)

    def _report(self) -> Stage:
        choice = self.choice
        parents = {"evaluation": self.evaluation, "float": self.float_export}
        if self.onnx is not None and self.quantized is not None:
            settings = {"spec": self._spec, "recipe": self._recipe("fqss"), "sets": ["test", "sweep"]}
            simulation = {"quantized": self.quantized, "evaluation": self.evaluation}
            parents["fake"] = self._stage("simulation", "simulation", ("outputs", "layers.json"), settings, **simulation)
            parents["onnx"] = self.onnx
            for baseline in BASELINES[choice.profile]:
                parents[f"beside-{baseline}"] = self._qdq("vanilla", choice.plan) if baseline == "vanilla" else self._qdq("fqss", "ptq")
            if choice.profile == "full":
                parents["beside-onnx2tf"] = self._onnx2tf(True, "onnx2tf_beside", "beside")
        others = {"tflite": self.tflite, "stream-onnx": self.stream_onnx, "stream-tflite": self.stream_tflite}
        parents |= {name: stage for name, stage in others.items() if stage is not None}
        target = choice.target.model_dump(mode="json")
        settings = {"target": target, "profile": choice.plan, "spec": self._spec, "command": choice.command}
        stage = self._stage(f"report-{choice.target.name}-{choice.profile}", "report", ("report",), settings, **parents)
        return replace(stage, files=VALIDATION_FILES, code=("validation.__main__",))

    def _package(self) -> Stage | None:
        """The file as code for a device, where the target has that."""
        target = self.choice.target
        if self.tflite is None or target.package == "none" or (target.package == "tflm" and "tflm" not in target.runtimes):
            return None
        parents = {"tflite": self.tflite, "evaluation": self.evaluation}
        settings = {"segment_samples": self.choice.spec.segment_samples}
        if self.stream_tflite is not None:
            parents["step"] = self.stream_tflite
        if target.package == "c":
            return replace(self._stage("c-package", "c_package", ("device",), settings, **parents), files=C_PACKAGE_FILES)
        kit = self._stage("tflm-kit", "tflm_kit", ("device",), settings, **parents)
        return replace(kit, files=TFLM_KIT_FILES, code=("edge_runtime.__main__",))

    @staticmethod
    def without_training(spec: ModelSpec) -> dict[str, Any]:
        """The spec with the settings of training put back to one value: what does not train does not depend on them. Nor do weights
        depend on how they are streamed."""
        neutral = TrainingSpec(steps=1, batch_size=1, learning_rate=1.0, segment_seconds=1.0)
        changes = {"training": neutral, "profiles": {}, "description": "", "streaming": None, "method": METHODS["fqss"]}
        return spec.model_copy(update=changes).model_dump(mode="json")

    def for_training(self, profile: str) -> dict[str, Any]:
        """The spec with one profile, and of the float training only the seed and whether networks are compiled."""
        spec = self.without_training(self.choice.spec)
        spec["training"] |= {"seed": self.choice.spec.training.seed, "compiled": self.choice.spec.training.compiled}
        spec["profiles"] = {profile: self._spec["profiles"][profile]}
        return spec


def _run_by_onnx2tf(stage: Stage) -> Stage:
    """The stage, dependent on the program that runs in onnx2tf's environment and on all that is installed there."""
    return replace(stage, files=ONNX2TF_PROGRAM, settings={**stage.settings, "environment": installed_versions(ONNX2TF)})

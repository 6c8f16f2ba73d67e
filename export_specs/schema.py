"""The schema of model and target specs. Unknown keys are refused, so that a misspelt setting never passes silently."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from export_specs.method import METHODS, Method
from export_specs.networks import NetworkSpec, network_spec
from export_specs.strict import Strict

Profile = Literal["ptq", "quick", "full"]  # plans of quantization-aware training
Npu = Literal["u55-128", "u55-256", "u65-256", "u85-256"]  # Ethos-U with so many multipliers
# explained in docs/adr: 0037-cortex-m.md, narrow-ends and memory-plan 0042-npu-and-memory-plan.md, turned-operands 0046-arena.md
Rewrite = Literal["fold-dilation", "depthwise-products", "parts-apart", "narrow-ends", "memory-plan", "turned-operands"]
RuntimeName = Literal["onnxruntime", "litert-ref", "litert-opt", "litert-xnnpack", "tflm"]
RUNTIMES: tuple[str, ...] = get_args(RuntimeName)
EMULATION = "arm64-"  # before the name of a runtime: on an emulated aarch64 processor (edge_runtime/arm64_engine.py)
EMULATED = tuple(f"{EMULATION}{name}" for name in ("litert-ref", "litert-xnnpack", "onnxruntime"))
SUBJECTS = ("litert-ref", "litert-xnnpack", "onnxruntime")
Task = Literal["separation", "enhancement", "music"]
MUSIC_SOURCES = ("drums", "bass", "other", "vocals")  # in the order of MUSDB18's stems


def runs_onnx_files(runtime: str) -> bool:
    """Whether a runtime of RUNTIMES or EMULATED runs ONNX files; else it runs TFLite files."""
    return runtime.removeprefix(EMULATION) == "onnxruntime"


class Hardware(Strict):
    """What a training runs on; handed to lightning's Trainer as it stands. Each of the ``devices`` of each node is a process of its own."""

    accelerator: str = Field(default="cpu", description="cpu, gpu, auto or another that lightning knows")
    devices: int = Field(default=1, gt=0, description="on each node")
    num_nodes: int = Field(default=1, gt=0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"

    @property
    def processes(self) -> int:
        """Processes that train, on all nodes together; each takes a batch of its own at every step."""
        return self.devices * self.num_nodes


class Averaging(Strict):
    """Averaging of weights over the steps of a training; validation and the result take the average."""

    average_decay: float = Field(
        default=0.0, ge=0, lt=1, description="of an exponential average of the weights: what is kept of it at each step; 0: none is taken"
    )


class QatProfile(Hardware, Averaging):
    """How long quantization-aware training lasts. ``steps`` 0 means post-training: ranges are observed, nothing is trained."""

    steps: int = Field(ge=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    segment_seconds: float = Field(gt=0)
    validation_mixtures: int = Field(gt=0, description="mixtures the parity report judges")
    seed: int = Field(default=0, ge=0, exclude_if=lambda seed: seed == 0, description="another one: other examples in another order")


class TrainingSpec(Hardware, Averaging):
    """Training of the float teacher."""

    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    segment_seconds: float = Field(gt=0)
    gradient_clip: float = Field(default=5.0, ge=0, description="largest norm of the gradient; 0: not clipped")
    plateau_patience: int = 5
    cooldown_steps: int = Field(default=0, ge=0, description="the last steps, over which the learning rate falls linearly to zero")
    epoch_steps: int = Field(default=500, gt=0, description="steps between two validations")
    compiled: bool = Field(default=False, description="by torch.compile, which convolutions gain by and attention does not")
    mixing: Literal["random", "published"] = Field(
        default="random",
        exclude_if=lambda mixing: mixing == "random",
        description="random: any two utterances, at random levels; published: the ready mixtures of LibriMix; of QAT too",
    )
    seed: int = 0


class StreamingSpec(Strict):
    """The network as a second file, which is run step by step."""

    hop_frames: int = Field(gt=0, description="frames of a step: fewer are less latency, more are less work")


class ModelSpec(Strict):
    """One network, its training and its profiles of quantization-aware training."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    architecture: str = Field(description="folder of the network in pipeline/networks")
    task: Task = Field(default="separation", description="separation of speakers, enhancement of noisy speech, music into MUSIC_SOURCES")
    description: str = ""
    sample_rate: int = Field(gt=0)
    n_src: int = Field(ge=1)
    noise_snr_db: tuple[float, float] = Field(default=(-5.0, 10.0), description="of enhancement: least and greatest SNR of its mixtures")
    segment_samples: int = Field(gt=0, description="fixed length of one invocation of the shipped graph")
    network: SerializeAsAny[NetworkSpec] = Field(description="settings of the architecture's own kind (its folder's spec.py)")
    streaming: StreamingSpec | None = Field(default=None, description="also ship a file that is run step by step; for causal networks")
    method: Method = Field(
        default=METHODS["fqss"], exclude_if=lambda method: method == METHODS["fqss"], description="of quantization and its training"
    )
    training: TrainingSpec
    profiles: dict[Profile, QatProfile]

    @classmethod
    def part_at(cls, key: str, content: Any) -> type[Strict] | None:
        return network_spec(content["architecture"]) if key == "network" else super().part_at(key, content)

    @field_validator("architecture")
    @classmethod
    def _is_there(cls, value: str) -> str:
        network_spec(value)
        return value

    @field_validator("network", mode="before")
    @classmethod
    def _of_its_architecture(cls, value: Any, info: ValidationInfo) -> NetworkSpec:
        if "architecture" not in info.data:
            raise ValueError("its settings depend on the architecture")
        return network_spec(info.data["architecture"]).model_validate(value)

    @model_validator(mode="after")
    def _check(self) -> ModelSpec:
        self.network.check_segment(self.segment_samples)
        if self.streaming is not None:
            self.network.check_streaming()
        if not self.noise_snr_db[0] <= self.noise_snr_db[1]:
            raise ValueError(f"noise_snr_db {list(self.noise_snr_db)}: the least SNR comes first")
        if self.task == "separation" and self.n_src == 1:
            raise ValueError("n_src 1 is enhancement: set task: enhancement")
        if self.task == "separation" and self.n_src != 2:
            raise ValueError(
                f"n_src {self.n_src}: no data set gives mixtures of other than two speakers, to train and judge with; set n_src: 2"
            )
        if self.task == "enhancement" and self.n_src != 1:
            raise ValueError(f"n_src {self.n_src}: enhancement has one source, the speech")
        if self.task != "music" and self.audio_channels != 1:
            raise ValueError(f"audio_channels {self.audio_channels}: mixtures of {self.task} are mono")
        if self.task == "music" and (self.n_src != len(MUSIC_SOURCES) or self.audio_channels != 2):
            raise ValueError(f"music is stereo with n_src: {len(MUSIC_SOURCES)} ({', '.join(MUSIC_SOURCES)})")
        return self

    def with_segment(self, seconds: float) -> ModelSpec:
        """The same network on segments of ``seconds``, or of the longest length below that it can have.

        Raises:
            ValueError: it can have none so short.
        """
        wanted = round(seconds * self.sample_rate)
        samples = self.network.longest_segment(wanted)
        if samples > wanted:
            raise ValueError(f"the shortest are of {samples / self.sample_rate:g} s")
        return ModelSpec.model_validate({**self.model_dump(), "segment_samples": samples})

    @property
    def audio_channels(self) -> int:
        """Channels of a waveform: tensors are [B, T] for 1, else [B, audio_channels, T]."""
        return self.network.waveform_channels()

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the outputs are, in order; empty where any output may be any source."""
        return MUSIC_SOURCES if self.task == "music" else ()


class TargetSpec(Strict):
    """One deployment target: the file format, the integer norm recipe, the ops and runtimes it has, and its gates.

    In YAML it may say ``extends:``, the name or file of another target whose settings it takes over (``export_specs.inheritance``).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str = ""
    format: Literal["onnx", "tflite"]
    converter: Literal["none", "own", "onnx2tf-float32", "onnx2tf-int8"] = "own"
    norm_recipe: str = Field(
        default="scalar-gain", pattern=r"^[a-z0-9][a-z0-9-]*$", description="a module of pipeline/layers/global_norm/recipes"
    )
    package: Literal["none", "c", "tflm"] = Field(
        default="none",
        description="what stands in device/ beside the file. c: a C99 package; tflm: what firmware with TFLite Micro compiles (of a target "
        "that has the runtime tflm)",
    )
    npus: list[Npu] = Field(default=[], description="what Vela, where it is installed, compiles the file for")
    rewrites: list[Rewrite] = Field(default=[], description="other forms of the same operators, for kernels that are fast at them")
    runtimes: list[str] = Field(description="those that the file is run in; the first of SUBJECTS among them is judged")
    allowed_ops: list[str] = []
    transposes: dict[str, str] = Field(
        default_factory=dict, description="tensor (* and ? allowed): reason why a TRANSPOSE may make it; no other tensor may be made by one"
    )
    exact_exceptions: dict[str, str] = Field(default_factory=dict, description="op: reason why it may differ between LiteRT and TFLM")
    near_exceptions: dict[str, str] = Field(
        default_factory=dict,
        description="operator or tensor (* and ? allowed): reason why it may differ by 1 LSB from ONNX Runtime and XNNPACK on more values",
    )
    gates: dict[str, dict[str, Any]] | None = Field(
        default=None,
        description="gate: its settings that differ from the defaults in validation/gates; {} changes none, none judges nothing",
    )

    @model_validator(mode="after")
    def _check(self) -> TargetSpec:
        if (self.format == "onnx") != (self.converter == "none"):
            raise ValueError(f"format {self.format} with converter {self.converter}: none makes onnx, the others make tflite")
        known = (*RUNTIMES, *EMULATED)
        unknown = [name for name in self.runtimes if name not in known]
        if unknown:
            raise ValueError(f"unknown runtimes {', '.join(unknown)}; there are {', '.join(known)}")
        runs_onnx, runs_tflite = any(map(runs_onnx_files, self.runtimes)), bool({"litert-ref", "litert-xnnpack"} & set(self.runtimes))
        if self.format == "onnx" and not (all(map(runs_onnx_files, self.runtimes)) and "onnxruntime" in self.runtimes):
            raise ValueError(f"runtimes {self.runtimes}: an ONNX file runs in onnxruntime alone")
        if self.format == "tflite" and not runs_tflite:
            raise ValueError(f"runtimes {self.runtimes}: the file is judged on litert-ref or litert-xnnpack, name one of them")
        if runs_onnx and self.converter not in ("none", "own"):
            raise ValueError(f"runtimes {self.runtimes}: {self.converter} makes no ONNX file for onnxruntime")
        if self.package != "none" and self.converter != "own":
            raise ValueError(f"package {self.package} with converter {self.converter}: it is made of a file that converter own makes")
        return self

    @property
    def subject(self) -> str:
        """The runtime on which what ships is judged: the reference kernels where the target has them."""
        return next(runtime for runtime in SUBJECTS if runtime in self.runtimes)

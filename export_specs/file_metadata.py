"""What a model file says of itself beside its graph: one JSON document, which the exporter writes and every reader of the file understands.

In an ONNX file it is the entry ``fqss`` of ``metadata_props``, in a TFLite file the metadata of that name.

How it grows: a new field has a default that says what files without it mean, and raises ``SCHEMA_VERSION`` by one. So every version reads
the files of all versions before it, and refuses those of later ones, whose fields it cannot know. A file without the entry is a foreign
one: a runtime then goes by what its tensors say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from export_specs.schema import ModelSpec
from export_specs.strict import Strict

ENTRY = "fqss"
SCHEMA_VERSION = 4
UNVERSIONED = "spec_sha256"  # one of the entries that stood in an ONNX file each by itself before there was a document

Count = Annotated[int, Field(gt=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FullScale(Strict):
    """What int16 full scale (32768 codes) stands for, in standard deviations of the segment's spectrogram and of its waveform."""

    spectrogram: float = Field(gt=0)
    waveform: float = Field(gt=0)


class SpectrogramFrontEnd(Strict):
    """The float transform before and behind a graph that takes and gives a spectrogram and a waveform.

    Attributes:
        n_fft: length of the Fourier transform in samples; a quarter of it is the hop.
        input, output: the int16 codes of the graph's inputs and outputs. A float graph takes and gives deviations, 1.0 for 1.
    """

    kind: Literal["spectrogram"] = "spectrogram"
    n_fft: int = Field(gt=0, multiple_of=4)
    input: FullScale
    output: FullScale


class StreamState(Strict):
    """One input of a streaming graph that carries what it knew at the step before, and the output that tells it.

    Both are [1, C, F] in an ONNX file and [1, F, 1, C] in a TFLite file; PCM is [1, F] in both, F being samples.

    Attributes:
        kind: ``shift``: the output, as it is, is the input of the next step. ``line``: the output is the present frames of a tensor, and
            the input the F frames that came ``delay`` frames before them; so the host keeps a delay line, for all inputs of one output.
        input, output: names of the graph's tensors. Every other input and output of the graph is PCM.
        delay: in frames, of a line; F at least.
        channels, frames: C and F.
        initial: the code that stands for what was before the stream began; in every element.
    """

    kind: Literal["shift", "line"]
    input: str
    output: str
    delay: int = Field(default=0, ge=0)
    channels: Count
    frames: Count
    dtype: Literal["int8", "int16", "int32"]
    initial: int = 0

    @model_validator(mode="after")
    def _check(self) -> StreamState:
        if (self.kind == "line") != (self.delay > 0) or 0 < self.delay < self.frames:
            raise ValueError(f"state {self.input}: a line has a delay of {self.frames} frames or more, a shift has none; not {self.delay}")
        return self


class Streaming(Strict):
    """How a graph is run step by step: ``segment_samples`` of PCM in, as many out, and its states handed on (``docs/streaming.md``).

    The n-th sample that comes out belongs to the sample ``latency_samples - segment_samples`` before the n-th that went in.

    Attributes:
        hop_frames: frames of a step.
        latency_samples: from the moment a sample begins until what is separated of it has come out, at most; computing takes no time.
        context_samples: how many samples, its own and earlier ones, a sample that comes out depends on. A stream joined late, or with
            another level before, is right after so many.
        states: all of them, in the order of the inputs.
    """

    hop_frames: Count
    latency_samples: Count
    context_samples: Count
    states: tuple[StreamState, ...]


class InputGain(Strict):
    """What is done to a segment before a run and undone after it: alone, the file fails on quiet input and on a constant.

    Each channel of the segment loses its mean. Then all of it is multiplied by 2^k, saturated to int16, with the largest k in
    0…``largest_shift`` for which at most one in ``clipped_one_in`` samples leaves int16; the output is divided by 2^k. Silence is not run.
    ``edge_runtime/level.py`` says it to the digit, ``docs/adr/0036-input-contract.md`` why the graph does not do it itself.
    """

    kind: Literal["power-of-two"]
    largest_shift: int = Field(ge=0, le=14)
    clipped_one_in: int = Field(gt=0)


INPUT_GAIN = InputGain(kind="power-of-two", largest_shift=14, clipped_one_in=4096)


class FileMetadata(Strict):
    """The document.

    Attributes:
        schema_version: of this class when the file was written.
        model, target: names of the specs it was made by.
        sample_rate: samples per second.
        segment_samples: T, the fixed length of one run; of a streaming file, of one step.
        sources: S, the number of waveforms that come out.
        source_names: what they are, in order ("drums", ...); empty where any may be any source, as of speakers.
        shortest_samples: the encoder's window, the shortest recording worth separating.
        front_end: what stands before and behind the graph; None where PCM goes in and out.
        streaming: the states of a graph that is run step by step; None where every run is of a whole segment.
        input_gain: what is done to a segment before and after a run; None in files of versions before 3 and in streaming ones.
        layouts: of an ONNX file, by tensor, those that no node tells: of its inputs and of what its Reshapes make. Every other tensor has
            that of what it is computed from (``pipeline/convert/stated_layouts.py``). Empty in files of versions before 4.
        computed_layouts: of a TFLite file, the tensors of rank 4 that the operators of its main graph compute, in order: a layout and
            how many in a row have it. Empty in files of versions before 4.
        spec_sha256, checkpoint_sha256: digests of the model spec and of the weights.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    model: str
    target: str = ""
    sample_rate: Count
    segment_samples: Count
    sources: Count
    source_names: tuple[str, ...] = ()
    shortest_samples: Count | None = None
    front_end: SpectrogramFrontEnd | None = None
    streaming: Streaming | None = None
    input_gain: InputGain | None = None
    layouts: dict[str, Layout] = Field(default={})
    computed_layouts: tuple[tuple[Layout, Count], ...] = ()
    spec_sha256: Digest | None = None
    checkpoint_sha256: Digest | None = None

    @model_validator(mode="after")
    def _check(self) -> FileMetadata:
        if self.source_names and len(self.source_names) != self.sources:
            raise ValueError(f"{len(self.source_names)} source_names for {self.sources} sources")
        if self.streaming is not None and self.streaming.latency_samples < self.segment_samples:
            raise ValueError(f"latency_samples {self.streaming.latency_samples} are fewer than the {self.segment_samples} of a step")
        return self

    @classmethod
    def of(cls, spec: ModelSpec, **further: Any) -> FileMetadata:
        """What a model spec says of its file, and ``further`` fields."""
        stated = {
            "model": spec.name,
            "sample_rate": spec.sample_rate,
            "segment_samples": spec.segment_samples,
            "sources": spec.n_src,
            "source_names": spec.source_names,
            "shortest_samples": spec.network.frame()[0],
            "input_gain": INPUT_GAIN,
        }
        return cls(**{**stated, **further})

    def to_json(self) -> str:
        """The document as a file holds it: the version, and the fields that do not stand at their default."""
        stated = {"schema_version": self.schema_version, **self.model_dump(mode="json", exclude_defaults=True)}
        return json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_metadata(text: str | bytes, file: object) -> FileMetadata:
    """The document that a file holds.

    Args:
        text: its JSON.
        file: the file's name, for messages.

    Raises:
        UserError: it was written by a later version, or by one before documents had a version, or it is damaged.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{file} is damaged: its metadata '{ENTRY}' are not JSON ({error}). Make or copy it again.") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version is None:
        raise _old_file(file)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UserError(
            f"{file} was made by a newer version of this software: its metadata have schema {version}, and this one knows up to "
            f"{SCHEMA_VERSION}. Update it, or make the file again."
        )
    try:
        return FileMetadata.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise UserError(f"{file} is damaged: its metadata '{ENTRY}' say {place}{first['msg']}. Make or copy it again.") from error


def metadata_of_onnx(properties: Mapping[str, str], file: object) -> FileMetadata | None:
    """The document of an ONNX file with these ``metadata_props``; None for a foreign file.

    Raises:
        UserError: as :func:`read_metadata`.
    """
    if ENTRY in properties:
        return read_metadata(properties[ENTRY], file)
    if UNVERSIONED in properties:
        raise _old_file(file)
    return None


def _old_file(file: object) -> UserError:
    return UserError(f"{file} was made by an older version of this software, whose metadata this one does not read. Make it again.")

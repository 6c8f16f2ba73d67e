"""The document in model files: there and back, other versions, damage, and the ONNX files of before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_specs import file_metadata
from export_specs.file_metadata import FileMetadata, FullScale, SpectrogramFrontEnd, Streaming, StreamState, metadata_of_onnx, read_metadata
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from export_specs.load import load_model, model_names

SCALES = st.builds(FullScale, spectrogram=st.floats(1e-30, 1e30), waveform=st.floats(1e-30, 1e30))
STATES = st.builds(
    StreamState,
    kind=st.just("shift"),
    input=st.text(max_size=9),
    output=st.text(max_size=9),
    channels=st.integers(1, 99),
    frames=st.integers(1, 9),
    dtype=st.sampled_from(["int8", "int16"]),
    initial=st.integers(-128, 127),
)
STREAMING = st.builds(
    Streaming,
    hop_frames=st.integers(1, 99),
    latency_samples=st.integers(800, 900),
    context_samples=st.integers(1, 9999),
    states=st.lists(STATES, max_size=3).map(tuple),
)
FRONT_ENDS = st.builds(SpectrogramFrontEnd, n_fft=st.integers(1, 1 << 12).map(lambda n: 4 * n), input=SCALES, output=SCALES)
SOURCES = st.integers(1, 4).flatmap(lambda count: st.sampled_from([(count, ()), (count, tuple(f"stem, ä {n}" for n in range(count)))]))


LAYOUTS = st.sampled_from(Layout)


@given(
    SOURCES,
    st.none() | FRONT_ENDS,
    st.none() | st.integers(1, 99),
    st.none() | STREAMING,
    st.dictionaries(st.text(max_size=9), LAYOUTS, max_size=3),
    st.lists(st.tuples(LAYOUTS, st.integers(1, 99)), max_size=3).map(tuple),
)
def test_there_and_back(
    sources: tuple[int, tuple[str, ...]],
    front_end: SpectrogramFrontEnd | None,
    shortest: int | None,
    streaming: Streaming | None,
    layouts: dict[str, Layout],
    computed: tuple[tuple[Layout, int], ...],
) -> None:
    written = FileMetadata(
        model="m",
        sample_rate=8000,
        segment_samples=800,
        sources=sources[0],
        source_names=sources[1],
        front_end=front_end,
        shortest_samples=shortest,
        streaming=streaming,
        layouts=layouts,
        computed_layouts=computed,
    )
    assert read_metadata(written.to_json().encode(), "m.tflite") == written


@pytest.mark.parametrize("name", model_names())
def test_what_a_spec_says(name: str) -> None:
    spec = load_model(name)
    metadata = FileMetadata.of(spec, segment_samples=spec.segment_samples + 1, target="t")
    assert (metadata.sample_rate, metadata.sources, metadata.source_names) == (spec.sample_rate, spec.n_src, spec.source_names)
    assert (metadata.segment_samples, metadata.target) == (spec.segment_samples + 1, "t")
    assert '"input_gain":{"clipped_one_in":4096,"kind":"power-of-two","largest_shift":14}' in metadata.to_json()


def _changed(**changes: object) -> str:
    return json.dumps({"schema_version": 1, "model": "m", "sample_rate": 8000, "segment_samples": 800, "sources": 2, **changes})


def _streaming(latency_samples: int = 900, **changes: object) -> dict[str, object]:
    state = {"kind": "line", "input": "p", "output": "q", "delay": 4, "channels": 2, "frames": 4, "dtype": "int8", **changes}
    return {"hop_frames": 4, "latency_samples": latency_samples, "context_samples": 5000, "states": [state]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "m.tflite is damaged: its metadata 'fqss' are not JSON"),
        ("[1]", "made by an older version"),
        ('{"model": "m", "sample_rate": "8000"}', "made by an older version"),
        (_changed(schema_version=99), "made by a newer version.*schema 99.*up to 4"),
        (_changed(schema_version=0), "damaged: its metadata 'fqss' say schema_version: "),
        (_changed(sample_rate=0), "damaged: its metadata 'fqss' say sample_rate: "),
        (_changed(layouts={"x": "columns"}), "damaged: its metadata 'fqss' say layouts: x: Input should be 'frames', 'rows'"),
        (_changed(computed_layouts=[["frames", 0]]), "damaged: its metadata 'fqss' say computed_layouts: 0: 1: "),
        (_changed(hop=64), "damaged: its metadata 'fqss' say hop: Extra inputs"),
        (_changed(source_names=["drums"]), "damaged: its metadata 'fqss' say .*1 source_names for 2 sources"),
        (_changed(front_end={"kind": "wavelet"}), "damaged: its metadata 'fqss' say front_end: kind: "),
        (_changed(streaming=_streaming(latency_samples=799)), "damaged: .*latency_samples 799 are fewer than the 800 of a step"),
        (_changed(streaming=_streaming(delay=3)), "damaged: .*state p: a line has a delay of 4 frames or more, a shift has none; not 3"),
        (_changed(streaming=_streaming(kind="shift", delay=8)), "damaged: .*state p: a line has .*not 8"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read_metadata(text, "m.tflite")


def test_an_older_file_lacks_only_what_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(FileMetadata):
        schema_version: int = 5
        hop_samples: int | None = None

    monkeypatch.setattr(file_metadata, "FileMetadata", Later)
    monkeypatch.setattr(file_metadata, "SCHEMA_VERSION", 5)
    assert read_metadata(_changed(), "m.tflite") == Later(schema_version=1, model="m", sample_rate=8000, segment_samples=800, sources=2)


def test_of_onnx_files() -> None:
    assert metadata_of_onnx({}, "m.onnx") is None
    assert metadata_of_onnx({"author": "another exporter"}, "m.onnx") is None
    assert metadata_of_onnx({"fqss": _changed(), "author": "x"}, "m.onnx") == read_metadata(_changed(), "m.onnx")
    with pytest.raises(UserError, match=r"m\.onnx was made by an older version"):
        metadata_of_onnx({"model": "tiny", "sample_rate": "8000", "spec_sha256": "ab"}, "m.onnx")

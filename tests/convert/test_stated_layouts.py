"""Layouts that a graph tells: followed through its nodes, checked against them, and the same as those guessed of our own networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_runtime
from export_specs.file_metadata import ENTRY, FileMetadata, metadata_of_onnx
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from pipeline.convert.foreign_layouts import guessed_layouts
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.ops import DECLARATIONS
from pipeline.convert.stated_layouts import stated_layouts
from pipeline.export.qdq import build_model
from pipeline.quantization.recipe import Recipe
from tests import tiny

NETWORKS = {"speech": tiny.tiny_spec, "music": tiny.tiny_music_spec, "dptnet": tiny.tiny_dptnet, "htdemucs": tiny.tiny_htdemucs}
NORM = {"speech": "runtime-filter"}


@pytest.fixture(scope="module")
def models() -> dict[str, onnx.ModelProto]:
    """One of each kind; that of speech has run-time filters."""
    made = {}
    for name, spec in NETWORKS.items():
        network = tiny.quantized_network(spec(), Recipe("fqss", NORM.get(name, "scalar-gain")))
        made[name] = build_model(network, FileMetadata.of(spec()))
    return made


def told(model: onnx.ModelProto) -> FileMetadata:
    (entry,) = model.metadata_props
    metadata = metadata_of_onnx({ENTRY: entry.value}, "the model")
    assert metadata is not None
    return metadata


def saved(model: onnx.ModelProto, path: Path, change: Callable[[dict[str, Layout]], object] = lambda _: None) -> Path:
    """The model in a file, with changed layouts."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    metadata = told(copy)
    layouts = dict(metadata.layouts)
    change(layouts)
    copy.metadata_props[0].value = metadata.model_copy(update={"layouts": layouts}).to_json()
    onnx.save(copy, path)
    return path


@pytest.mark.parametrize("name", NETWORKS)
def test_as_guessed(name: str, models: dict[str, onnx.ModelProto], tmp_path: Path) -> None:
    """Two ways to the same layouts: the exporter's word and the nodes, or ranks and operators alone. What is not read is left out."""
    graph = OnnxGraph.read(saved(models[name], tmp_path / "m.onnx"), DECLARATIONS)
    assert graph.metadata is not None
    found, guessed = stated_layouts(graph, graph.metadata.layouts), guessed_layouts(graph)
    read = {item for node in graph.nodes for item in node.input} | set(graph.outputs)
    assert {tensor: layout for tensor, layout in found.items() if tensor in read} == {
        tensor: layout for tensor, layout in guessed.items() if tensor in read and tensor in found
    }
    assert found.keys() >= {tensor for node in graph.nodes for tensor in node.output if graph.is_integer(tensor)}


def anonymous(model: onnx.ModelProto, layouts: dict[str, Layout]) -> onnx.ModelProto:
    """The model with numbers for names, but for the graph's ends; its layouts are renamed with it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    numbers = {name: f"t{k}" for k, name in enumerate(output for node in model.graph.node for output in node.output)}
    numbers |= {output.name: output.name for output in model.graph.output}
    for node in copy.graph.node:
        node.input[:] = [numbers.get(name, name) for name in node.input]
        node.output[:] = [numbers[name] for name in node.output]
    renamed = {numbers.get(name, name): layout for name, layout in layouts.items()}
    layouts.clear()
    layouts.update(renamed)
    return copy


@pytest.mark.parametrize(("name", "further"), [("speech", Layout.FILTER), ("htdemucs", Layout.PLANE)])
def test_the_tflite_file_tells_the_axes_of_its_tensors(
    name: str, further: Layout, models: dict[str, onnx.ModelProto], tmp_path: Path
) -> None:
    """Tensors of one name have one shape in both files, whatever they are called."""
    layouts = dict(told(models[name]).layouts)
    model = anonymous(models[name], layouts)
    path = convert(saved(model, tmp_path / "m.onnx", lambda found: (found.clear(), found.update(layouts))), tmp_path / "m.tflite").path
    spec = NETWORKS[name]()
    pcm = np.rint(tiny.mixtures(spec, 1, 3)[0].numpy() * 32767).astype(np.int16)
    opened = open_runtime(tmp_path / "m.onnx", "onnxruntime"), open_runtime(path, "litert-ref")
    onnx_taps, tflite_taps = ({tensor: codes.shape for tensor, codes in runtime.run_with_taps(pcm)[1].items()} for runtime in opened)
    common = onnx_taps.keys() & tflite_taps.keys()
    assert len(common) > 100
    assert {tensor: onnx_taps[tensor] for tensor in common} == {tensor: tflite_taps[tensor] for tensor in common}
    assert {tensor.layout for tensor in read_model(path).activations} == {Layout.FRAMES, Layout.PLAIN, further}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda layouts: layouts.pop("splitter/low_code/frames"), "do not say how the axes of 'splitter/low_code/frames' are ordered"),
        (lambda layouts: layouts.update({"encoder": Layout.ROWS}), "say that 'encoder' is rows, but by its node it is frames"),
        (lambda layouts: layouts.update(pcm=Layout.FRAMES), r"say that 'pcm' is frames, but its shape is \[1, 800\]"),
        (
            lambda layouts: layouts.update({"splitter/low_code/frames": Layout.PLAIN}),
            "it reads 'splitter/high_code/frames', which is frames, and 'splitter/low_code/frames', which is plain",
        ),
        (
            lambda layouts: layouts.update({"masker.bottleneck.0/gain_wide": Layout.PLANE}),
            "gain_wide' is plane, but its shape is ",
        ),
    ],
    ids=["missing", "another", "rank", "mixed", "filter"],
)
def test_what_contradicts_the_nodes_is_refused(
    change: Callable[[dict[str, Layout]], object], reason: str, models: dict[str, onnx.ModelProto], tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(saved(models["speech"], tmp_path / "m.onnx", change), tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_a_plane_that_would_have_to_be_transposed_is_refused(models: dict[str, onnx.ModelProto], tmp_path: Path) -> None:
    def change(layouts: dict[str, Layout]) -> None:
        layouts.update({name: Layout.PLAIN for name, layout in layouts.items() if layout is Layout.PLANE})

    with pytest.raises(ConversionError, match="would have to be transposed"):
        convert(saved(models["htdemucs"], tmp_path / "m.onnx", change), tmp_path / "m.tflite")


def test_files_of_before_are_guessed(models: dict[str, onnx.ModelProto], tmp_path: Path) -> None:
    stated = convert(saved(models["dptnet"], tmp_path / "m.onnx"), tmp_path / "told.tflite")
    guessed = convert(saved(models["dptnet"], tmp_path / "m.onnx", lambda layouts: layouts.clear()), tmp_path / "guessed.tflite")
    assert stated.path.read_bytes() == guessed.path.read_bytes()


def test_a_file_that_miscounts_its_layouts_is_refused(models: dict[str, onnx.ModelProto], tmp_path: Path) -> None:
    path = convert(saved(models["speech"], tmp_path / "m.onnx"), tmp_path / "m.tflite").path
    layout, count = read_model(path).metadata.computed_layouts[0]  # type: ignore[union-attr]
    entry = '"computed_layouts":[["%s",%d]'
    content, other = path.read_bytes(), count + 1 if count % 10 < 9 else count - 1  # as many digits
    assert content.count((entry % (layout.value, count)).encode()) == 1
    path.write_bytes(content.replace((entry % (layout.value, count)).encode(), (entry % (layout.value, other)).encode()))
    with pytest.raises(UserError, match=r"m\.tflite contradicts itself: its metadata tell \d+ layouts, its operators make \d+ "):
        read_model(path)

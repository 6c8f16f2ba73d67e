"""Delay lines against a list of all frames that ever were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.model_file import TensorInfo
from edge_runtime.stream_states import DelayLine, StreamStates, state_bytes
from export_specs.file_metadata import StreamState


@given(hop=st.integers(1, 5), further=st.lists(st.integers(0, 9), min_size=1, max_size=3), steps=st.integers(1, 30))
def test_a_line_gives_the_frames_of_so_many_before(hop: int, further: list[int], steps: int) -> None:
    delays = [hop + more for more in further]
    line = DelayLine([1, hop, 1, 2], 1, max(delays), -7, "int8")
    ever = [np.full((2,), -7)] * max(delays)
    for step in range(steps):
        for delay in delays:
            first = len(ever) - delay
            np.testing.assert_array_equal(line.read(delay)[0, :, 0], ever[first : first + hop])
        new = np.arange(2 * hop).reshape(1, hop, 1, 2) + step
        line.write(new.astype(np.int8))
        ever += list(new[0, :, 0])


TABLE = (
    StreamState(kind="shift", input="pcm/last", output="pcm/next", channels=1, frames=3, dtype="int16"),
    StreamState(kind="line", input="a/8", output="a", delay=8, channels=5, frames=4, dtype="int8", initial=-3),
    StreamState(kind="line", input="a/4", output="a", delay=4, channels=5, frames=4, dtype="int8", initial=-3),
)


@pytest.mark.parametrize("shape", [(1, 4, 1, 5), (1, 5, 4)], ids=["tflite", "onnx"])
def test_states_of_a_file(shape: tuple[int, ...]) -> None:
    inputs = {"pcm/last": TensorInfo("pcm/last", (1, 3), "int16")} | {name: TensorInfo(name, shape, "int8") for name in ("a/8", "a/4")}
    states = StreamStates(TABLE, inputs)
    for name, initial in (("pcm/last", 0), ("a/8", -3), ("a/4", -3)):
        assert states.inputs()[name].shape == inputs[name].shape
        assert (states.inputs()[name] == initial).all()
    shared = np.ones(shape, np.int8)
    states.keep({"pcm/next": np.array([1, 2, 3], np.int16), "a": shared})
    shared[...] = 9  # the runtime's memory is the runtime's
    given = states.inputs()
    assert given["pcm/last"].tolist() == [[1, 2, 3]]
    assert (given["a/4"] == 1).all() and (given["a/8"] == -3).all()


def test_bytes_of_states() -> None:
    assert state_bytes(TABLE) == 3 * 2 + 8 * 5

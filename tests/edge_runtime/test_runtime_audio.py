"""Recordings in and out, the command line, and many clips in parallel."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from edge_runtime.__main__ import app
from edge_runtime.parallel import separate_many
from edge_runtime.runtime import open_runtime
from edge_runtime.segments import separate
from edge_runtime.source_files import source_files
from export_specs.foundation.errors import UserError, run_command_line
from tests.edge_runtime.recordings import measured, restored


@pytest.fixture
def wav(tmp_path):
    def write(samples, rate=8000, name="mix.wav", **kwargs):
        soundfile.write(tmp_path / name, samples, rate, **kwargs)
        return tmp_path / name

    return write


def a_recording(path, samples, rate=8000, wide=False):
    """One of so many samples; only their number and the rate count."""
    soundfile.write(path, np.zeros(samples), rate, subtype="PCM_24" if wide else "PCM_16")
    return measured(path, rate)


def _tone(rate, seconds=0.5, level=0.3):
    return level * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)


def test_int16_at_the_models_rate_is_read_as_it_is(wav, pcm):
    recording = measured(wav(pcm), 8000)
    assert np.array_equal(recording.pcm, pcm)
    assert recording.exponent == 0
    assert not recording.wide
    two = wav(np.stack([pcm, pcm[::-1]], axis=1))
    assert np.array_equal(measured(two, 8000, "2").pcm, pcm[::-1])
    assert np.array_equal(restored(np.stack([pcm, pcm]), recording) * 32768, [pcm, pcm])


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "DOUBLE"])
def test_soft_wide_recordings_keep_their_precision(wav, subtype):
    soft = _tone(8000, level=1e-4)
    recording = measured(wav(soft, subtype=subtype), 8000)
    assert recording.wide
    assert 16384 <= np.abs(recording.pcm.astype(int)).max() <= 32767
    error = restored(recording.pcm[None], recording)[0] - soft
    assert np.abs(error).max() < 1e-4 / 16384 + 2.0**-23  # int16 alone would err by 2**-16


def test_float_beyond_full_scale_is_not_clipped(wav):
    loud = _tone(8000, level=3.0)
    recording = measured(wav(loud, subtype="FLOAT"), 8000)
    assert recording.exponent == -2
    assert "beyond full scale" in recording.warnings[0]
    assert np.abs(restored(recording.pcm[None], recording)[0] - loud).max() < 1e-4


@pytest.mark.parametrize("rate", [16000, 44100, 96000])
def test_other_rates_and_six_channels(wav, rate):
    tone = _tone(rate)
    path = wav(np.stack([tone * weight for weight in (6, 0, 0, 0, 0, 0)], axis=1) / 2, rate, subtype="FLOAT")
    recording = measured(path, 8000)
    assert len(recording.pcm) == 4000
    assert recording.frames == len(tone)
    back = restored(recording.pcm[None], recording)
    assert back.shape == (1, len(tone))
    assert np.abs(back[0] - tone / 2)[rate // 20 : -rate // 20].max() < 2e-3


def test_silence_is_read_as_silence(wav):
    assert not measured(wav(np.zeros(500)), 8000).pcm.any()
    assert not measured(wav(np.zeros(500), 44100, subtype="FLOAT"), 8000).pcm.any()


def test_clipping_is_a_warning(wav):
    clipped = np.clip(_tone(8000, level=2.0), -1, 1)
    assert "is clipped" in measured(wav(clipped), 8000).warnings[0]
    assert not measured(wav(_tone(8000, level=0.99)), 8000).warnings


@pytest.mark.parametrize(
    ("samples", "channel", "reason"),
    [
        (np.zeros(0), "mix", "is empty"),
        (np.zeros(15), "mix", "too short: 15 samples at 8000 Hz, the model's window is 16"),
        (np.array([0.1] * 80 + [np.nan] * 20), "mix", "NaN or infinity, first at 0.010 s"),
        (np.array([0.1] * 80 + [np.inf] * 20), "mix", "NaN or infinity"),
        (np.zeros((99, 2)), "3", "no channel '3'. Choose one of: 1, 2, mix"),
        (np.zeros((99, 2)), "0", "no channel '0'"),
        (np.zeros((99, 2)), "left", "no channel 'left'"),
    ],
)
def test_recordings_that_are_refused(wav, samples, channel, reason):
    with pytest.raises(UserError, match=reason):
        measured(wav(samples, subtype="FLOAT"), 8000, channel, 16)


def test_files_that_are_not_recordings(tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    for path, reason in (("text.wav", "not audio"), ("gone.wav", "not there"), ("", "a folder")):
        with pytest.raises(UserError, match=reason):
            measured(tmp_path / path, 8000)


@pytest.mark.parametrize("kind", ["wav", "flac"])
@pytest.mark.parametrize("wide", [False, True])
def test_written_sources(tmp_path, pcm, kind, wide):
    recording = a_recording(tmp_path / "a.b.wav", 64, 44100, wide)
    with source_files(tmp_path / "new" / "folder", "a.b", 2, recording, kind) as files:
        for half in np.split(np.stack([pcm, np.full(64, 32767, np.int16)]), 2, axis=1):
            files.write(half)
        assert not list(tmp_path.glob("new/folder/a.b*")), "not there before all is written"
    assert [path.name for path in files.paths] == [f"a.b_1.{kind}", f"a.b_2.{kind}"]
    assert len(list(files.paths[0].parent.iterdir())) == 2
    read, rate = soundfile.read(files.paths[0], dtype="int16")
    assert np.array_equal(read, pcm)
    assert rate == 44100
    assert soundfile.info(files.paths[1]).subtype == ("PCM_24" if wide else "PCM_16")
    assert soundfile.read(files.paths[1])[0].min() > 0.9999


def test_sources_beyond_full_scale_are_saturated(tmp_path):
    soundfile.write(tmp_path / "loud.wav", _tone(8000, level=3.0), 8000, subtype="FLOAT")
    recording = measured(tmp_path / "loud.wav", 8000)
    with source_files(tmp_path, "x", 1, recording) as files:
        files.write(recording.pcm[None])
    assert soundfile.read(files.paths[0])[0].max() > 0.9999


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch, pcm):
    recording = a_recording(tmp_path / "a.wav", 64)
    (tmp_path / "file").touch()
    for place in ("file", "file/below", "a" * 300):
        with pytest.raises(UserError, match="cannot write to"), source_files(tmp_path / place, "a", 1, recording):
            pass
    whole = soundfile.SoundFile.write
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda file, data: whole(file, data) if data[0] else 1 / 0)
    with pytest.raises(ZeroDivisionError), source_files(tmp_path / "out", "a", 2, recording) as files:
        files.write(np.stack([np.ones(64), np.zeros(64)]).astype(np.int16))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge_runtime", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_command_line(app)
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_separate_command(command, doubling, wav, tmp_path, kind):
    pcm = np.random.default_rng(0).integers(-500, 500, 1000).astype(np.int16)
    code, out, _ = command(
        "separate", wav(pcm), "--model", doubling(), "--out", tmp_path / "out", "--format", kind, "--runtime", "litert-ref"
    )
    assert code == 0
    expected = [tmp_path / "out" / f"mix_{number}.{kind}" for number in (1, 2)]
    assert out.split() == list(map(str, expected))
    for path in expected:
        assert np.array_equal(soundfile.read(path, dtype="int16")[0], pcm)


def test_separate_command_refusals(command, doubling, two_inputs, wav, tmp_path):
    model, mixture = doubling(), wav(np.zeros(100))
    (tmp_path / "corrupt.tflite").write_bytes(model.read_bytes()[:-100])
    (tmp_path / "text.onnx").write_text("hello")
    for arguments, code, reason in (
        ((tmp_path / "gone.wav", "--model", model), 1, "not there"),
        ((mixture, "--model", tmp_path / "gone.tflite"), 1, "cannot read the model"),
        ((mixture, "--model", tmp_path / "corrupt.tflite"), 1, "damaged"),
        ((mixture, "--model", tmp_path / "text.onnx"), 1, "neither a TFLite nor"),
        ((mixture, "--model", two_inputs), 1, "another kind of model"),
        ((mixture, "--model", model, "--overlap", "0.9"), 1, "overlap"),
        ((mixture, "--model", model, "--channel", "7"), 1, "no channel '7'"),
        ((mixture,), 2, "--model"),
        ((mixture, "--model", model, "--runtime", "cuda"), 2, "tflm"),
        ((mixture, "--model", model, "--format", "mp3"), 2, "flac"),
    ):
        found, _, error = command("separate", *arguments, "--out", tmp_path / "out")
        assert (found, reason in error) == (code, True), (arguments, found, error)
    assert not (tmp_path / "out").exists()


def test_info_command(command, tflite_network, onnx_network, two_inputs):
    code, out, _ = command("info", tflite_network)
    assert code == 0
    assert "'pcm' int16 [1, 64]" in out
    assert "sample_rate: 8000" in out
    assert "2 CONV_2D" in out
    assert "int8" in out
    code, out, _ = command("info", onnx_network)
    assert code == 0
    assert "2 Conv" in out
    assert "separates 64 samples into 2 source(s)" in out
    code, out, error = command("info", two_inputs)
    assert code == 1
    assert "3 float32" in out
    assert "2 inputs" in error


def test_as_a_program_without_torch(doubling, wav, tmp_path):
    check = (
        "import runpy, sys; sys.argv[0] = 'x'\n"
        "try: runpy.run_module('edge_runtime', run_name='__main__')\n"
        "finally: assert 'torch' not in sys.modules"
    )
    arguments = ["separate", wav(np.zeros(100)), "--model", doubling(), "--out", tmp_path / "out"]
    run = subprocess.run([sys.executable, "-c", check, *arguments], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "XNNPACK" not in run.stderr
    assert not soundfile.read(tmp_path / "out" / "mix_1.wav")[0].any()


@pytest.mark.parametrize("workers", [1, 2])
def test_many_clips_come_back_in_order(tflite_network, workers):
    rng = np.random.default_rng(0)
    clips = [rng.integers(-9000, 9000, length).astype(np.int16) for length in (64, 10, 300, 128, 0, 77, 64)]
    runtime = open_runtime(tflite_network, "litert-ref")
    results = list(separate_many(tflite_network, "litert-ref", clips, workers))
    assert len(results) == len(clips)
    for clip, result in zip(clips, results, strict=True):
        assert np.array_equal(result, separate(runtime, clip))


def test_many_clips_with_a_model_that_cannot_be_opened(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        separate_many(tmp_path / "gone.tflite", "tflm", [], 2)

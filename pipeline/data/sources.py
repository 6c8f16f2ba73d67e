"""The data sets that DATA can name.

Of speech ``embedded``, ``debian-voices``, ``librimix:DIR``, ``librimix-both:DIR`` (with noise), ``folder:DIR`` or a list of such
(``pipeline.data.training_list``); of music ``embedded-stems``, ``rendered-stems``, ``musdb18hq:DIR``.
"""

from __future__ import annotations

from pathlib import Path

from export_specs.foundation.errors import UserError, choice_error
from export_specs.inheritance import is_file_name
from export_specs.schema import Task
from pipeline.data.audio_files import audio_files, other_files, seconds_of, visible_folders
from pipeline.data.augmentation import Augmentation, Noise
from pipeline.data.debian_voices import open_debian_voices
from pipeline.data.embedded_stems import open_embedded_stems
from pipeline.data.librimix import open_librimix
from pipeline.data.musdb18hq import open_musdb18hq
from pipeline.data.music import Music
from pipeline.data.rendered_stems import open_rendered_stems
from pipeline.data.speech import MIN_SECONDS, Speech, TrainingFiles, TrainingSpeech, Utterance, data_digest
from pipeline.data.split import Split, split_of
from pipeline.data.training_list import TrainingList, adapted, joined, read_training_list, training_speech

EMBEDDED = Path(__file__).parents[2] / "data" / "embedded"
SPEECH_CHOICES = ["embedded", "debian-voices", "librimix:DIR", "librimix-both:DIR", "folder:DIR", "LIST.yaml"]
# loudness in LUFS of two speakers from -33 to -25 each and of noise from -38 to -30, as LibriMix draws them
LIBRIMIX_NOISE = Noise(share=1.0, snr_db=(0.0, 16.0))
MUSIC_CHOICES = ["embedded-stems", "rendered-stems", "musdb18hq:DIR"]


def open_speech(name: str, sample_rate: int) -> Speech:
    """The data set of a DATA setting.

    Args:
        sample_rate: of the model, Hz; it chooses among LibriMix's versions. Files are resampled when they are read.

    Raises:
        UserError: an unknown name (the right ones are listed), a folder that is missing or in another layout, a file that is not audio.
    """
    if is_file_name(name):
        wanted, parts = open_list(Path(name), sample_rate)
        return joined(wanted, parts)
    kind, _, folder = name.partition(":")
    if name == "embedded":
        return open_embedded()
    if name == "debian-voices":
        return open_debian_voices()
    if kind not in ("librimix", "librimix-both", "folder") or not folder:
        raise choice_error("data set of speech", name, SPEECH_CHOICES)
    if not Path(folder).is_dir():
        raise UserError(f"DATA={name}: there is no folder {folder}")
    return open_folder(Path(folder)) if kind == "folder" else open_librimix(Path(folder), sample_rate, kind == "librimix-both")


def open_list(path: Path, sample_rate: int) -> tuple[TrainingList, list[Speech]]:
    """The list of a YAML file, and each of its parts as the list wants it.

    Raises:
        UserError: of the list or of a part; a part that is a list itself.
    """
    wanted = read_training_list(path)
    for part in wanted.parts:
        if is_file_name(part.data):
            raise UserError(f"{path}: a part cannot be a list itself; name what {part.data} lists")
        if part.data.startswith("librimix-both:"):
            folder = part.data.partition(":")[2]
            raise UserError(f"{path}: a list's noise stands in its augmentation: name librimix:{folder}, and the noise as noise: recorded")
    return wanted, [adapted(part, open_speech(part.data, sample_rate)) for part in wanted.parts]


def data_for(task: Task, name: str) -> str:
    """The data set for a task: the named one, or where none is named the one that needs no files of the user's.

    Raises:
        UserError: it is of another kind than the task; the right ones are listed.
    """
    ours, others = (MUSIC_CHOICES, SPEECH_CHOICES) if task == "music" else (SPEECH_CHOICES, MUSIC_CHOICES)
    kinds = {choice.partition(":")[0] for choice in others}
    if name.partition(":")[0] in kinds:
        raise choice_error(f"data set for the task {task}", name, ours)
    return name or ours[0]


def open_music(name: str) -> Music:
    """The data set of a DATA setting, for models of music.

    Raises:
        UserError: an unknown name (the right ones are listed), a folder that is missing or in another layout, a tool that is missing.
    """
    kind, _, folder = name.partition(":")
    if name == "embedded-stems":
        return open_embedded_stems()
    if name == "rendered-stems":
        return open_rendered_stems(open_embedded())
    if kind != "musdb18hq" or not folder:
        raise choice_error("data set of music", name, MUSIC_CHOICES)
    if not Path(folder).is_dir():
        raise UserError(f"DATA={name}: there is no folder {folder}")
    return open_musdb18hq(Path(folder))


def training_files(name: str, sample_rate: int, task: Task = "separation") -> tuple[TrainingFiles, TrainingFiles]:
    """What training examples are drawn from, and what those that watch the training are; of music (name, folder) of tracks.

    Raises:
        UserError: see :func:`open_speech` and :func:`open_music`; or one of the two has fewer than two speakers.
    """
    if task == "music":
        tracks = open_music(name).tracks
        return list(tracks[Split.TRAIN]), list(tracks[Split.DEV])
    if is_file_name(name):
        wanted, parts = open_list(Path(name), sample_rate)
        speech = joined(wanted, parts)
        training = training_speech(wanted, parts)
    else:
        speech = open_speech(name, sample_rate)
        augmentation = Augmentation(noise=LIBRIMIX_NOISE if speech.noisy else None)
        noise = speech.noise if speech.noisy or task == "enhancement" else ()
        digest = data_digest(augmentation.model_dump_json(), speech.utterances, noise)
        ready = speech.published.get("calibration")
        training = TrainingSpeech(speech.utterances[Split.TRAIN], None, augmentation, digest, noise, ready, speech.noisy)
    for split in (Split.TRAIN, Split.DEV):
        speakers = {speaker for speaker, _ in speech.utterances[split]}
        if len(speakers) < 2:
            raise UserError(f"DATA={name} has {len(speakers)} speaker(s) in its {split} part and needs two: add speakers or utterances")
    return training, TrainingSpeech(speech.utterances[Split.DEV], published=speech.published.get("dev"), noisy=speech.noisy)


def open_embedded(root: Path = EMBEDDED) -> Speech:
    """The selection of synthetic speech that lies in the repository.

    Raises:
        UserError: it is not there.
    """
    if not (root / "voices").is_dir():
        raise UserError(f"the embedded data set is missing: {root / 'voices'} should hold it; check the repository out again")
    return Speech(
        name="embedded",
        synthetic=True,
        licence="Apache-2.0 (synthetic speech, made with Kokoro-82M)",
        description="Synthetic speech of 54 voices of the Kokoro-82M text-to-speech model",
        utterances=_split(root / "voices"),
    )


def open_folder(root: Path) -> Speech:
    """A user's own speech: one folder a speaker, with audio at any depth in it. What is shorter than 2 s is left out.

    Which speakers and utterances are for testing is decided by their names (``pipeline.data.split``).

    Raises:
        UserError: no folder of a speaker, no audio long enough, or a file that is empty or not audio.
    """
    utterances = _split(root)
    speakers = {speaker for part in utterances.values() for speaker, _ in part}
    if not speakers:
        others = other_files(root)
        raise UserError(
            f"{root} holds no speech: it needs one folder a speaker with audio files of {MIN_SECONDS:g} s or more"
            + (f"; there are {others}, which are not read" if others else "")
        )
    return Speech(
        name="folder",
        synthetic=False,
        licence="the user's own",
        description=f"Speech of a user's folder {root.name}, {len(speakers)} speakers",
        utterances=utterances,
    )


def _split(root: Path) -> dict[Split, list[Utterance]]:
    utterances: dict[Split, list[Utterance]] = {split: [] for split in Split}
    for folder in visible_folders(root):
        for path in audio_files(folder):
            seconds = seconds_of(path)
            if not seconds:
                raise UserError(f"{path} is empty; remove it from the data set")
            if seconds >= MIN_SECONDS:
                name = path.relative_to(folder).with_suffix("").as_posix()
                utterances[split_of(folder.name, name)].append((folder.name, path))
    return utterances

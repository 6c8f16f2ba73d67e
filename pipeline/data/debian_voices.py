"""Real people from Debian's packages: prompts of a telephone exchange and the dialogues of a game. Never part of what we ship.

The licences are those of the packages' ``copyright`` files.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export_specs.foundation.errors import UserError
from pipeline.data.audio_files import audio_files, seconds_of
from pipeline.data.speech import MIN_SECONDS, Speech, Utterance
from pipeline.data.split import Split, split_of

CACHE = Path(__file__).parents[2] / ".cache" / "debian-voices"


@dataclass(frozen=True)
class Voice:
    """One voice of one package. Two voices may be one ``speaker``.

    Attributes:
        package: Debian package; ``folder``: pattern of its folders with sounds.
        tag: what the names of this voice's files hold.
        unseen: kept out of training, for the test on unseen voices. Chosen here, because nine people are too few to draw from.
    """

    speaker: str
    package: str
    folder: str
    licence: str
    tag: str = ""
    unseen: bool = False


_ASTERISK = "usr/share/asterisk/sounds"
_FILLETS = "usr/share/games/fillets-ng/sound/*"
VOICES = (
    Voice("asterisk-allison", "asterisk-core-sounds-en-wav", f"{_ASTERISK}/en_*", "CC-BY-SA-3.0"),
    Voice("asterisk-allison", "asterisk-core-sounds-es-wav", f"{_ASTERISK}/es_*", "CC-BY-SA-3.0"),
    Voice("asterisk-june", "asterisk-core-sounds-fr-wav", f"{_ASTERISK}/fr_*", "CC-BY-SA-3.0"),
    Voice("asterisk-carlo", "asterisk-core-sounds-it-wav", f"{_ASTERISK}/it_*", "CC-BY-3.0"),
    Voice("asterisk-maxim", "asterisk-core-sounds-ru-wav", f"{_ASTERISK}/ru_*", "CC-BY-3.0", unseen=True),
    Voice("asterisk-paola", "asterisk-prompt-it-menardi-wav", f"{_ASTERISK}/it_*", "CC-BY-SA-3.0-IT", unseen=True),
    Voice("fillets-cs-v", "fillets-ng-data-cs", f"{_FILLETS}/cs", "GPL-2", tag="-v-"),
    Voice("fillets-cs-m", "fillets-ng-data-cs", f"{_FILLETS}/cs", "GPL-2", tag="-m-"),
    Voice("fillets-nl-v", "fillets-ng-data-nl", f"{_FILLETS}/nl", "GPL-2", tag="-v-"),
    Voice("fillets-nl-m", "fillets-ng-data-nl", f"{_FILLETS}/nl", "GPL-2", tag="-m-"),
)


def open_debian_voices(cache: Path = CACHE) -> Speech:
    """The voices, fetched into ``cache`` unless they are there. Utterances of 2 s or more.

    Recorded silence, and the packages' empty files, are left out.

    The English and the Spanish voice are one person (both packages credit her), and so one speaker.

    Raises:
        UserError: the packages cannot be fetched or unpacked.
    """
    fetch(sorted({voice.package for voice in VOICES}), cache)
    utterances: dict[Split, list[Utterance]] = {split: [] for split in Split}
    for voice in VOICES:
        for name, path in _utterances(voice, cache / voice.package):
            split = Split.TEST_UNSEEN if voice.unseen else split_of(voice.speaker, name)
            if split is not Split.TEST_UNSEEN or voice.unseen:
                utterances[split].append((voice.speaker, path))
    return Speech(
        name="debian-voices",
        synthetic=False,
        licence="; ".join(f"{voice.package}: {voice.licence}" for voice in {voice.package: voice for voice in VOICES}.values()),
        description="Real people: telephone prompts (Asterisk) and dialogues of a game (Fish Fillets NG), from Debian's packages",
        utterances=utterances,
        subset="debian-voices",
    )


def fetch(packages: list[str], cache: Path) -> None:
    """Download and unpack the packages that ``cache`` lacks, each into a folder of its name, whole or not at all.

    Raises:
        UserError: apt-get or dpkg-deb is missing or fails; its last line is told.
    """
    missing = [package for package in packages if not (cache / package).is_dir()]
    if not missing:
        return
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise UserError(f"DATA=debian-voices needs {program}, which this system lacks; on other systems use DATA=folder:DIR")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as name:
        folder = Path(name)
        _call(["apt-get", "download", *missing], folder, "Is the network there? `apt-get update`, as root, renews the package lists")
        for package in missing:
            archive = next(folder.glob(f"{package}_*.deb"), None)
            if archive is None:
                raise UserError(f"apt-get download left no file of {package}")
            _call(["dpkg-deb", "-x", str(archive), package], folder, "The download may be broken; run again")
            (folder / package).replace(cache / package)


def _call(command: list[str], folder: Path, advice: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise UserError(f"`{' '.join(command)}` failed: {lines[-1]}. {advice}.")


def _utterances(voice: Voice, package: Path) -> Iterator[tuple[str, Path]]:
    """(name within the voice, path) of each utterance that is long enough."""
    folders = sorted(package.glob(voice.folder))
    if not folders:
        raise UserError(f"{package} holds no {voice.folder}; remove {package} to have it fetched anew")
    for folder in folders:
        for path in audio_files(folder):
            name = path.relative_to(folder).with_suffix("")
            if voice.tag in path.name and "silence" not in name.parts and seconds_of(path) >= MIN_SECONDS:
                yield name.as_posix(), path

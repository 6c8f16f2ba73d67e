"""What a file tells of its network, compared with the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from export_specs.schema import ModelSpec
from pipeline.checkpoints.content import Told

CLASS_NAMES = ("klass", "class", "model_name")  # under which packages tell the class of their network
_LINEAR = ("linear", "none", "identity", "")


@dataclass(frozen=True)
class Setting:
    """A setting of a network, and how files name it.

    Attributes:
        name: in the words of our spec, for messages.
        value: what it must be; of a tuple, one of them.
        names: of a file's own; "Decoder.stride" is an argument of that class alone, and all of those must agree.
        none: what the file means by None; without it None tells nothing.
    """

    name: str
    value: object
    names: tuple[str, ...]
    none: object = None


def common_settings(spec: ModelSpec) -> list[Setting]:
    """Settings that every network has."""
    settings = [
        Setting("architecture", spec.architecture, ("architecture",)),
        Setting("sample_rate", spec.sample_rate, ("sample_rate", "samplerate", "sampling_rate", "sr", "fs")),
        Setting("n_src", spec.n_src, ("n_src", "num_sources", "num_spks", "num_spk", "n_spk", "num_speakers", "nspk")),
    ]
    if spec.source_names:
        settings.append(Setting("sources", list(spec.source_names), ("sources", "source_names", "instruments")))
    return settings


def contradictions(told: Sequence[Told], settings: Iterable[Setting], defaults: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Faults of a file that tells of another network than the spec: each names the setting and both values.

    What a file says in several places may be of several networks; so one place that agrees is enough.

    Args:
        defaults: settings of classes that a file means where it names the class and not the setting.
    """
    named = {str(one.value).rpartition(".")[2] for one in told if one.name in CLASS_NAMES}
    classes = named | {one.kind for one in told}
    stated = {one.name for one in told}
    implied = [
        Told(f"{kind}'s default", name, kind, value)
        for kind in sorted(classes & defaults.keys())
        for name, value in defaults[kind].items()
        if name not in stated
    ]
    return [fault for setting in settings for fault in _faults(setting, [*told, *implied])]


def _faults(setting: Setting, told: Sequence[Told]) -> list[str]:
    free: list[Told] = []
    bound: list[Told] = []
    for one in told:
        if one.value is None and setting.none is None:
            continue
        if one.kind and f"{one.kind}.{one.name}" in setting.names:
            bound.append(one)
        elif one.name in setting.names and _comparable(one.value, setting.value):
            free.append(one)
    wrong = [one for one in bound if not _agrees(one.value, setting)]
    if free and not any(_agrees(one.value, setting) for one in free):
        wrong.append(free[0])
    ours = setting.value[0] if isinstance(setting.value, tuple) else setting.value
    return [f"the file's network has {one.name} {one.value!r} ({one.place}), the spec's {setting.name} {ours!r}" for one in wrong[:1]]


def _comparable(theirs: object, ours: object) -> bool:
    """A list is compared with a list: "sources" may be their names or how many they are."""
    return isinstance(ours, tuple) or isinstance(theirs, list) == isinstance(ours, list) or (isinstance(ours, list) and _is_listed(theirs))


def _is_listed(value: object) -> bool:
    return isinstance(value, str) and "," in value


def _agrees(theirs: object, setting: Setting) -> bool:
    values = setting.value if isinstance(setting.value, tuple) else (setting.value,)
    return any(_plain(setting.none if theirs is None else theirs) == _plain(ours) for ours in values)


def _plain(value: object) -> object:
    """One form for what files write in several: 8000 and "8000", True and 1 and "true", ReLU and "relu", "a,b" and ["a", "b"]."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, str):
        return float(value) if isinstance(value, bool | int | float) else value
    text = value.strip().lower()
    if "," in text:
        return [_plain(part) for part in text.split(",")]
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return "linear" if text in _LINEAR else text

"""What a whole test set came to: of speech means, of music medians over tracks by instrument, each beside the first file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError
from validation.bootstrap import Interval, mean_interval, paired_differences
from validation.ladder import ItemScore, Summary, summarise
from validation.record import Number, Record
from validation.whole_set.files import WholeSet
from validation.whole_set.run import Found, WholeStage, code_version


class Part(Record):
    """One file on the mixtures of one subset, or on all ("").

    ``filtered_sdr`` is the mean over the mixtures. ``median_sdr`` is of music: by source name the median over the tracks of museval's SDR,
    and ``sdr_delta_of_source`` the mean loss or gain of that source against the first file, with its interval.
    """

    stage: str
    subset: str
    summary: Summary
    filtered_sdr: Number | None
    median_sdr: dict[str, Number] = Field(default={})
    sdr_delta_of_source: dict[str, tuple[Number, Interval]] = Field(default={})


class Evaluation(Record):
    """The whole result. ``files``: runtime and sha256 of each stage's file; ``left_out``: mixtures that could not be scored, and why."""

    set: str
    description: str
    synthetic: bool
    mixtures: int
    left_out: dict[str, str]
    files: dict[str, tuple[str, str]]
    versions: str
    parts: list[Part]


def summarised(whole: WholeSet, stages: Sequence[WholeStage], found: Sequence[Found]) -> Evaluation:
    """The means of what :func:`validation.whole_set.run.evaluate` found, which do not depend on the order of the work.

    Raises:
        UserError: no mixture could be scored.
    """
    scored = [entry for entry in found if not entry.left_out]
    if not scored:
        raise UserError(f"no mixture of {whole.name} could be scored; the first: {found[0].left_out}")
    subsets = sorted({entry.scores[stages[0].name].score.subset for entry in scored})
    parts = [
        _part(whole, stages[0], stage, subset, scored) for subset in (["", *subsets] if len(subsets) > 1 else [""]) for stage in stages
    ]
    return Evaluation(
        set=whole.name,
        description=whole.description,
        synthetic=whole.synthetic,
        mixtures=len(scored),
        left_out={entry.id: entry.left_out for entry in found if entry.left_out},
        files={stage.name: (stage.runtime, sha256(stage.path)) for stage in stages},
        versions=code_version()[1],
        parts=parts,
    )


def _part(whole: WholeSet, first: WholeStage, stage: WholeStage, subset: str, found: Sequence[Found]) -> Part:
    chosen = [entry for entry in found if subset in ("", entry.scores[stage.name].score.subset)]
    scores = [entry.scores[stage.name].score for entry in chosen]
    reference = {entry.id: entry.scores[first.name].score for entry in chosen}
    filtered = [entry.scores[stage.name].filtered_sdr for entry in chosen]
    known = [value for value in filtered if value is not None]
    return Part(
        stage=stage.name,
        subset=subset,
        summary=summarise(scores, reference),
        filtered_sdr=float(np.mean(known)) if known else None,
        median_sdr={name: _median(scores, place) for place, name in enumerate(whole.source_names)},
        sdr_delta_of_source={name: _delta(scores, reference, place) for place, name in enumerate(whole.source_names)},
    )


def _median(scores: Sequence[ItemScore], place: int) -> float:
    return float(np.median([score.source_sdr[place] for score in scores]))


def _delta(scores: Sequence[ItemScore], reference: dict[str, ItemScore], place: int) -> tuple[float, Interval]:
    before = [reference[score.id].source_sdr[place] for score in scores]
    delta = paired_differences(before, [score.source_sdr[place] for score in scores])
    return float(delta.mean()), mean_interval(delta)


def markdown(evaluation: Evaluation) -> str:
    """The table as Markdown."""
    music = bool(evaluation.parts[0].median_sdr)
    lines = [
        f"# {evaluation.set}",
        "",
        f"{evaluation.description}. {evaluation.mixtures} mixtures in full length"
        + (f", {len(evaluation.left_out)} left out" if evaluation.left_out else "")
        + (", synthetic" if evaluation.synthetic else "")
        + ".",
        "",
        *(_of_music(evaluation) if music else _of_speech(evaluation)),
        "",
        *(f"* `{name}`: {runtime}, sha256 {digest[:16]}" for name, (runtime, digest) in evaluation.files.items()),
    ]
    return "\n".join(lines) + "\n"


def _of_speech(evaluation: Evaluation) -> list[str]:
    header = "| mixtures | n | file | SI-SDR | improvement | against the first (95 %) | SDR, eq. (2) | SDR, 512 taps | STOI |"
    rows = [header, "|---|---|---|---|---|---|---|---|---|"]
    for part in evaluation.parts:
        found = part.summary
        stoi = "" if found.stoi is None else f"{found.stoi:.3f}"
        filtered = "" if part.filtered_sdr is None else f"{part.filtered_sdr:.2f}"
        rows.append(
            f"| {part.subset or 'all'} | {found.n} | `{part.stage}` | {found.si_sdr:.2f} | {found.si_sdr_improvement:.2f} | "
            f"{_with_interval(found.delta, found.delta_interval)} | {found.sdr:.2f} | {filtered} | {stoi} |"
        )
    return [*rows, "", "dB, means over the mixtures, but for STOI. Eq. (2) is of the FQSS paper, and depends on an output's level."]


def _of_music(evaluation: Evaluation) -> list[str]:
    names = list(evaluation.parts[0].median_sdr)
    rows = [f"| file | tracks | {' | '.join(names)} | mean of these |", "|" + "---|" * (len(names) + 3)]
    for part in evaluation.parts:
        medians = list(part.median_sdr.values())
        rows.append(f"| `{part.stage}` | {part.summary.n} | {' | '.join(f'{value:.2f}' for value in medians)} | {np.mean(medians):.2f} |")
    for part in evaluation.parts[1:]:
        cells = " | ".join(_with_interval(*value) for value in part.sdr_delta_of_source.values())
        mean = _with_interval(part.summary.sdr_delta, part.summary.sdr_delta_interval)
        rows.append(f"| `{part.stage}` against the first (95 %) | {part.summary.n} | {cells} | {mean} |")
    return [*rows, "", "SDR as museval has it, dB: of a track the median over its seconds, of the set the median over the tracks."]


def _with_interval(value: float, interval: Interval) -> str:
    return f"{value:.2f} ({interval.low:.2f}…{interval.high:.2f})"

"""Two reports side by side: what got better or worse by more than chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from validation.bootstrap import Interval, mean_interval, paired_differences
from validation.ladder import ItemScore, StageResult
from validation.parity import Parity
from validation.record import Number, Record

ROOM = 0.01  # a size may grow by so much of itself
WORSE_STATES = ("passed", "undecided", "failed")
State = Literal["better", "worse", "same"]


class Change(Record):
    """One thing in both reports. ``state`` is "same" where the interval of the change holds 0, or a size moved by less than ROOM."""

    what: str
    old: str
    new: str
    interval: Interval | None
    n: int | None
    state: State


def compare(old: Parity, new: Parity) -> list[Change]:
    """Every gate, every stage of the ladder and every size that both reports have.

    Stages are compared mixture by mixture where the sets are the same, by the digest of their manifests; sets that differ are left out,
    since their mixtures tell nothing of the change. Times are left out, which depend on what else the computer did.
    """
    return [*_gates(old, new), *_stages(old, new), *_sizes(old, new)]


def left_out(old: Parity, new: Parity) -> list[str]:
    """The sets whose mixtures differ, and the gates and stages that only one report has."""
    sets = {data.name: data.manifest_sha256 for data in old.data}
    differing = [
        f"set {data.name}: other mixtures" for data in new.data if sets.get(data.name, data.manifest_sha256) != data.manifest_sha256
    ]
    before, after = ({*(gate.id for gate in report.gates), *(f"{r.set}: {r.stage}" for r in report.ladder)} for report in (old, new))
    alone = [f"{name}: only in the old report" for name in sorted(before - after)]
    alone += [f"{name}: only in the new report" for name in sorted(after - before)]
    return [*differing, *alone]


def _gates(old: Parity, new: Parity) -> list[Change]:
    before = {gate.id: gate for gate in old.gates}
    changes = []
    for gate in new.gates:
        if (was := before.get(gate.id)) is not None:
            step = WORSE_STATES.index(gate.state) - WORSE_STATES.index(was.state)
            words = [f"{found.state}, {_number(found.observed)} (limit {_number(found.limit)})" for found in (was, gate)]
            changes.append(Change(what=gate.id, old=words[0], new=words[1], interval=None, n=None, state=_state(-step)))
    return changes


def _stages(old: Parity, new: Parity) -> list[Change]:
    manifests = {data.name: data.manifest_sha256 for data in old.data}
    same = {data.name for data in new.data if manifests.get(data.name) == data.manifest_sha256}
    before = {(result.set, result.stage): result for result in old.ladder}
    measures: dict[str, Callable[[ItemScore], float | None]] = {"SI-SDR, dB": lambda score: score.si_sdr, "STOI": lambda score: score.stoi}
    changes = []
    for result in new.ladder:
        was = before.get((result.set, result.stage))
        if result.set in same and was is not None and not result.beside:
            for name, measure in measures.items():
                change = _paired(was, result, f"{result.set}: {result.stage}, {name}", measure)
                changes += [] if change is None else [change]
    return changes


def _paired(old: StageResult, new: StageResult, what: str, measure: Callable[[ItemScore], float | None]) -> Change | None:
    before = {score.id: measure(score) for score in old.items}
    found = [(before.get(score.id), measure(score)) for score in new.items]
    pairs = [(first, second) for first, second in found if first is not None and second is not None]
    if not pairs:
        return None
    firsts, seconds = zip(*pairs, strict=True)
    interval = mean_interval(paired_differences(firsts, seconds))
    means = [f"{sum(values) / len(values):.3f}" for values in (firsts, seconds)]
    state = _state(1 if interval.low > 0 else -1 if interval.high < 0 else 0)
    return Change(what=what, old=means[0], new=means[1], interval=interval, n=len(pairs), state=state)


def _sizes(old: Parity, new: Parity) -> list[Change]:
    sizes: dict[str, list[Number | None]] = {
        "bytes of the file": [report.resources.file_bytes for report in (old, new)],
        "bytes of TFLM's arena": [report.resources.arena_bytes for report in (old, new)],
        "MAC a second of audio": [None if (cost := report.resources.cost) is None else cost.macs_per_second for report in (old, new)],
    }
    changes = []
    for what, (was, now) in sizes.items():
        if was is not None and now is not None:
            step = 0 if abs(now - was) <= ROOM * was else 1 if now < was else -1
            changes.append(Change(what=what, old=f"{was:,.0f}", new=f"{now:,.0f}", interval=None, n=None, state=_state(step)))
    return changes


def _state(step: int) -> State:
    """Of a step upwards (better), downwards or none."""
    return "better" if step > 0 else "worse" if step < 0 else "same"


def _number(value: Number | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def comparison_lines(changes: list[Change], alone: list[str]) -> list[str]:
    """The comparison in words: what got worse first, then what got better; the rest is counted."""
    lines = []
    for state in ("worse", "better"):
        for change in changes:
            if change.state == state:
                spread = f" (change {change.interval.low:+.3f} … {change.interval.high:+.3f}, n = {change.n})" if change.interval else ""
                lines.append(f"{state}: {change.what}: {change.old} → {change.new}{spread}")
    lines.append(f"{sum(change.state == 'same' for change in changes)} the same, within the intervals")
    return lines + [f"not compared: {name}" for name in alone]

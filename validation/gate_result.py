"""What a gate found: the record that parity.json keeps, and the usual ways to come to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from validation.bootstrap import Interval
from validation.record import Number, Record

State = Literal["passed", "undecided", "failed"]
ENOUGH_MIXTURES = 100
_NAMED = 5


class Excuse(Record):
    """One exception of the target: a name or pattern, its reason, and how many offenders it excused here."""

    pattern: str
    reason: str
    count: int


class GateResult(Record):
    """One row of the report's table of gates.

    ``n`` counts the pieces of evidence, which ``counted`` names ("mixtures", "tensors"). Without any evidence a gate has failed.
    "undecided" means that there was evidence, too little of it to tell on which side of the limit the truth lies; ``note`` says what is
    lacking. ``observed`` and ``limit`` are None where nothing was measured.
    """

    id: str
    rule: str
    state: State
    observed: Number | None
    limit: Number | None
    interval: Interval | None = None
    n: int
    counted: str
    note: str = ""
    excuses: list[Excuse] = Field(default=[])

    def noted(self, *notes: str) -> GateResult:
        """The same with further notes."""
        return self.model_copy(update={"note": "; ".join(part for part in (self.note, *notes) if part)})


def no_evidence(name: str, rule: str, why: str) -> GateResult:
    """Failed, because nothing was there to be judged."""
    return GateResult(id=name, rule=rule, state="failed", observed=None, limit=None, n=0, counted="", note=f"no evidence: {why}")


def none_of(name: str, rule: str, offenders: Sequence[str], n: int, counted: str) -> GateResult:
    """Passed where none of ``n`` pieces of evidence offends; the first few offenders are named."""
    if not n:
        return no_evidence(name, rule, f"there were no {counted}")
    rest = f" and {len(offenders) - _NAMED} more" if len(offenders) > _NAMED else ""
    note = ", ".join(offenders[:_NAMED]) + rest
    state: State = "failed" if offenders else "passed"
    return GateResult(id=name, rule=rule, state=state, observed=len(offenders), limit=0, n=n, counted=counted, note=note)


def at_most(
    name: str, rule: str, observed: float, limit: float, n: int, counted: str, interval: Interval | None = None, mixtures: int | None = None
) -> GateResult:
    """Passed where ``observed`` is at most ``limit``.

    With fewer than ENOUGH_MIXTURES ``mixtures`` (None: the figure is not a sample's) and an ``interval`` that holds the limit, another
    choice of mixtures could have ended on the other side: then it is undecided.
    """
    if not n:
        return no_evidence(name, rule, f"there were no {counted}")
    state: State = "passed" if observed <= limit else "failed"
    result = GateResult(id=name, rule=rule, state=state, observed=observed, limit=limit, interval=interval, n=n, counted=counted)
    few = mixtures is not None and mixtures < ENOUGH_MIXTURES
    if few and interval is not None and interval.low <= limit < interval.high:
        note = f"{mixtures} mixtures are too few to tell: the 95 % interval holds the limit; PROFILE=full judges more"
        return result.model_copy(update={"state": "undecided"}).noted(note)
    return result


def excuses(exceptions: Mapping[str, str], used: Iterable[str]) -> list[Excuse]:
    """Every exception of the target {pattern: reason} with how often it occurs in ``used``; none may be left out, nor the idle ones."""
    taken = list(used)
    return [Excuse(pattern=pattern, reason=reason, count=taken.count(pattern)) for pattern, reason in exceptions.items()]


def told(found: Sequence[Excuse]) -> list[str]:
    """The excuses in words: those that excused something, then the others. The reasons stand in the report's table of exceptions."""
    used = [f"{excuse.pattern} ×{excuse.count}" for excuse in found if excuse.count]
    idle = [excuse.pattern for excuse in found if not excuse.count]
    notes = [f"excepted: {', '.join(used)}"] if used else []
    return [*notes, f"exceptions that excuse nothing here: {', '.join(idle)}"] if idle else notes

"""The gates: each rule of the target's spec against what was observed. A gate that could not be judged is not passed silently: it says
why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from export_specs.schema import Gates, Profile, TargetSpec
from validation.behaviour import RuntimeBehaviour
from validation.bootstrap import Interval
from validation.golden_inputs import OpComparison
from validation.ladder import StageResult, mean_difference
from validation.layers import RuntimeComparison
from validation.level import LevelPoint
from validation.parity import Gate, Verdict
from validation.structure import Structure
from validation.theory import TheoryBin

_MIN_BIN = 5
_ENOUGH = 100
_NAMED = 5


def structure_gates(structure: Structure, behaviour: Sequence[RuntimeBehaviour], transposes: Mapping[str, str]) -> list[Gate]:
    """No float, no custom op, only allowed ops, int16 at both ends, no TRANSPOSE; runs everywhere, silent on silence, streamed = whole.

    ``transposes`` {tensor, * and ? allowed: reason} may be made by a TRANSPOSE.
    """
    broken = [f"{b.runtime}: {b.problem}" for b in behaviour if b.problem]
    loud = [b.runtime for b in behaviour if b.silence_peak]
    streamed = [b for b in behaviour if b.streamed_equals_whole is not None]
    float_rule = "no float tensor" if structure.format == "tflite" else "no float constant but scales"
    refused = [f"{name} ×{count}" for name, count in structure.refused_ops.items()]
    total = sum(structure.ops.values())
    return [
        _none_of("structure.float", float_rule, structure.float_tensors, sum(structure.dtypes.values())),
        _none_of("structure.custom", "no custom op", structure.custom_ops, total),
        _none_of("structure.ops", "only ops that the target allows", refused, total),
        _transpose_gate(structure.transposed, transposes, total),
        _none_of("structure.int16", "int16 PCM in and out", [] if structure.io_int16 else [*structure.inputs, *structure.outputs], 2),
        _none_of("structure.runs", "loads and runs in every runtime of the target", broken, len(behaviour)),
        _none_of("structure.silence", "silence in, silence out", loud, len(behaviour)),
        _none_of(
            "structure.streamed", "streamed equals whole", [b.runtime for b in streamed if not b.streamed_equals_whole], len(streamed)
        ),
    ]


def memory_gate(overwritten: Sequence[str], clips: int) -> Gate:
    """The output is the same whether inner tensors are kept or not: no kernel writes over one that is still to be read."""
    return _none_of("structure.memory", "the same output with and without inner tensors kept (LiteRT BUILTIN_REF)", overwritten, clips)


def exact_gate(comparison: RuntimeComparison | None, ops: Mapping[str, str], exceptions: Mapping[str, str]) -> Gate:
    """BUILTIN_REF = TFLM on every tensor, 0 LSB. ``ops`` names the operator of each tensor; operators in ``exceptions`` may differ."""
    rule = "LiteRT BUILTIN_REF = TFLM, 0 LSB on every inner tensor and the output"
    if comparison is None:
        return Gate(id="exact.tflm", rule=rule, observed=None, limit=0, passed=False, n=0, note="TFLM did not run the file")
    unequal = [name for name in (*comparison.unequal, *comparison.only_golden) if ops.get(name) not in exceptions]
    excused = sorted({f"{ops[name]}: {exceptions[ops[name]]}" for name in comparison.unequal if ops.get(name) in exceptions})
    gate = _none_of("exact.tflm", rule, unequal, len(comparison.tensors) + len(comparison.shapes_differ))
    return gate.model_copy(update={"note": "; ".join(part for part in (gate.note, *excused) if part)}) if excused else gate


def _transpose_gate(transposed: Sequence[str], allowed: Mapping[str, str], total: int) -> Gate:
    patterns = {name: next((pattern for pattern in allowed if fnmatchcase(name, pattern)), None) for name in transposed}
    rule = "no TRANSPOSE but those that the target gives a reason for"
    gate = _none_of("structure.transpose", rule, [name for name, pattern in patterns.items() if pattern is None], total)
    excused = Counter(pattern for pattern in patterns.values() if pattern is not None)
    reasons = [f"{count} as {pattern}: {allowed[pattern]}" for pattern, count in excused.items()]
    return gate.model_copy(update={"note": "; ".join(part for part in (gate.note, *reasons) if part)})


def near_gate(
    runtime: str, found: Sequence[OpComparison], clips: int, ops: Mapping[str, str], gates: Gates, exceptions: Mapping[str, str]
) -> Gate:
    """Op by op with golden inputs: at most ``near_max_lsb`` on at most ``near_max_share`` of the values, or on one value a clip.

    A scalar is one value a clip, and one that lies next to a tie is all of it. ``ops`` names the TFLite operator of each tensor.
    ``exceptions`` {operator or tensor, * and ? allowed: reason} may differ on more of the values, never by more, but for loops, which
    have a limit of their own (``near_max_lsb_of_loops``).
    """
    share = f"{gates.near_max_share:.1%} of the values or one a clip"
    rule = f"op by op with golden inputs: at most {gates.near_max_lsb} LSB on at most {share} ({runtime})"
    if any(fnmatchcase("WHILE", pattern) for pattern in exceptions):
        rule += f"; loops at most {gates.near_max_lsb_of_loops} LSB"
    bad: list[str] = []
    excused: dict[str, int] = {}
    for comparison in sorted(found, key=lambda f: (-f.max_lsb, -f.share)):
        names = (ops.get(comparison.tensor, comparison.op), comparison.tensor)
        pattern = next((p for p in exceptions if any(fnmatchcase(name, p) for name in names)), None)
        loop = names[0] == "WHILE" and pattern is not None
        max_lsb = gates.near_max_lsb_of_loops if loop else gates.near_max_lsb
        many = comparison.share > gates.near_max_share and round(comparison.share * comparison.values) > clips
        beyond = comparison.max_lsb > gates.near_max_lsb or many
        if comparison.max_lsb > max_lsb or (beyond and pattern is None):
            bad.append(f"{comparison.tensor} ({comparison.op}): {comparison.max_lsb} LSB, {comparison.share:.2%}")
        elif beyond and pattern is not None:
            excused[pattern] = excused.get(pattern, 0) + 1
    gate = _none_of(f"near.{runtime}", rule, bad, len(found))
    reasons = "; ".join(f"{count} excepted as {pattern}: {exceptions[pattern]}" for pattern, count in excused.items())
    return gate.model_copy(update={"note": "; ".join(part for part in (gate.note, reasons) if part)})


def task_gates(subject: StageResult, gates: Gates, profile: Profile) -> list[Gate]:
    """Mean and 5th percentile of SI-SDR, STOI of speech or SDR of music, and the order of the speakers, int8 against float."""
    found = subject.summary
    limit = gates.mean_si_sdr_loss_db[profile]
    interval, p5_interval, sdr_interval = (
        Interval(low=-i.high, high=-i.low) for i in (found.delta_interval, found.delta_p5_interval, found.sdr_delta_interval)
    )
    gates_of_task = [
        _mean_loss("task.mean", "mean SI-SDR loss against float, dB", -found.delta, limit, found.n, interval),
        _unless_too_few(
            _at_most("task.p5", "5th percentile of the SI-SDR loss, dB", -found.delta_p5, gates.p5_loss_db[profile], found.n, p5_interval)
        ),
        _at_least("task.order", "same speaker order as float", found.order_agreement, gates.order_agreement[profile], found.n),
    ]
    if found.stoi_delta is not None:
        stoi = _at_most("task.stoi", "mean STOI loss", -found.stoi_delta, gates.stoi_loss[profile], found.n)
        gates_of_task.insert(2, stoi)
    else:
        loss = _mean_loss("task.sdr", "mean loss of museval's SDR against float, dB", -found.sdr_delta, limit, found.n, sdr_interval)
        gates_of_task.insert(2, loss)
    return gates_of_task


def _mean_loss(name: str, rule: str, loss: float, limit: float, n: int, interval: Interval) -> Gate:
    unsure = loss <= limit < interval.high
    note = "the 95 % interval reaches beyond the limit: judge more mixtures to be sure" if unsure else ""
    return _at_most(name, rule, loss, limit, n, interval, note)


def waveform_gate(litert: StageResult | None, onnx: StageResult | None, gates: Gates, profile: Profile) -> Gate:
    """LiteRT's waveform against ONNX Runtime's: size of the mean difference of their SI-SDR."""
    rule = "mean difference of SI-SDR between LiteRT and ONNX Runtime, dB"
    limit = gates.waveform_si_sdr_difference_db[profile]
    if litert is None or onnx is None:
        return Gate(
            id="task.waveform", rule=rule, observed=None, limit=limit, passed=None, n=0, note="one of the two is no stage of the ladder"
        )
    mean, interval, n = mean_difference(onnx, litert)
    return _unless_too_few(_at_most("task.waveform", rule, abs(mean), limit, n, _of_the_size(mean, interval)))


def theory_gates(bins: Sequence[TheoryBin], violations: Sequence[str], n: int, gates: Gates) -> list[Gate]:
    """The loss in each bin of source SNR against the predicted one, and the theorem's bound itself (a check of the measurement)."""
    judged = [b for b in bins if b.n >= _MIN_BIN]
    rule = f"loss beyond 10·log10(1 + 10^((SDR − SQNR)/10)) in any SNR bin of at least {_MIN_BIN} estimates, dB"
    if judged:
        found = [_unless_too_few(_bin_gate(b, rule, gates.theory_slack_db)) for b in judged]
        worst = min(found, key=lambda gate: (gate.passed is not False, gate.passed is not None, -(gate.observed or 0)))
        bin_gate = worst.model_copy(update={"n": n})
    else:
        bin_gate = Gate(
            id="theory.loss", rule=rule, observed=None, limit=gates.theory_slack_db, passed=None, n=n, note="no bin is large enough"
        )
    return [bin_gate, _none_of("theory.bound", "no mixture above the bound of Theorem III.1", list(violations), n)]


def _bin_gate(b: TheoryBin, rule: str, slack_db: float) -> Gate:
    note = f"worst bin: {b.snr:g} dB SNR, loss {b.loss:.3f} dB, predicted {b.predicted:.3f} dB, {b.n} estimates"
    return _at_most("theory.loss", rule, b.loss - b.predicted, slack_db, b.n, b.excess_interval, note)


def resource_gates(file_bytes: int, parameters: int, operators: int, arena_bytes: int | None, gates: Gates) -> list[Gate]:
    """Bytes of the file by its parameters and operators (docs/adr/0018), and TFLM's arena where the target limits it."""
    limit = int(gates.bytes_per_parameter * parameters) + max(gates.bytes_constant, gates.bytes_per_operator * operators)
    rule = f"bytes of the file, at most {gates.bytes_per_parameter} a parameter + {gates.bytes_per_operator} an operator"
    found = [_at_most("resources.bytes", rule, file_bytes, limit, 1)]
    if gates.arena_bytes is not None:
        rule = "bytes of TFLM's arena on the host"
        if arena_bytes is None:
            found.append(
                Gate(
                    id="resources.arena",
                    rule=rule,
                    observed=None,
                    limit=gates.arena_bytes,
                    passed=False,
                    n=0,
                    note="TFLM did not run the file",
                )
            )
        else:
            found.append(_at_most("resources.arena", rule, arena_bytes, gates.arena_bytes, 1))
    return found


def level_gates(points: Sequence[LevelPoint], gates: Gates) -> list[Gate]:
    """The same mixture softer: size of the mean fall of SI-SDR, or of its rise."""
    found = []
    for point in points:
        if point.softer_db in gates.soft_loss_db:
            rule = f"change of mean SI-SDR {point.softer_db} dB softer, dB"
            interval = _of_the_size(point.change, point.interval)
            gate = _at_most(f"level.{point.softer_db}", rule, abs(point.change), gates.soft_loss_db[point.softer_db], point.n, interval)
            found.append(_unless_too_few(gate))
    return found


def verdict(gates: Sequence[Gate], target: TargetSpec) -> Verdict:
    """Failed if any gate failed; no verdict for a target without gates (a baseline)."""
    failed = [gate.id for gate in gates if gate.passed is False]
    return Verdict(passed=None if target.gates is None else not failed, failed=failed)


def _none_of(name: str, rule: str, offenders: Sequence[str], n: int) -> Gate:
    rest = f" and {len(offenders) - _NAMED} more" if len(offenders) > _NAMED else ""
    if n == 0 and not offenders:
        return Gate(id=name, rule=rule, observed=None, limit=0, passed=None, n=0, note="nothing was there to be judged")
    return Gate(
        id=name,
        rule=rule,
        observed=len(offenders),
        limit=0,
        passed=not offenders,
        n=n,
        note=", ".join(offenders[:_NAMED]) + rest,
    )


def _unless_too_few(gate: Gate) -> Gate:
    """Not judged where the limit is exceeded on few mixtures, by no more than their choice explains: the 95 % interval reaches below it."""
    if gate.passed is not False or gate.n >= _ENOUGH or gate.ci is None or gate.limit is None or gate.ci.low > gate.limit:
        return gate
    note = f"{gate.n} are too few to tell: the 95 % interval reaches below the limit; PROFILE=full judges more"
    return gate.model_copy(update={"passed": None, "note": "; ".join(part for part in (gate.note, note) if part)})


def _of_the_size(mean: float, interval: Interval) -> Interval:
    """The interval of the mean's size, from that of the mean."""
    low, high = sorted(math.copysign(1, mean) * end for end in (interval.low, interval.high))
    return Interval(low=low, high=high)


def _at_most(name: str, rule: str, observed: float, limit: float, n: int, ci: object = None, note: str = "") -> Gate:
    return Gate.model_validate(
        {"id": name, "rule": rule, "observed": observed, "limit": limit, "ci": ci, "passed": observed <= limit, "n": n, "note": note}
    )


def _at_least(name: str, rule: str, observed: float, limit: float, n: int) -> Gate:
    return Gate(id=name, rule=rule, observed=observed, limit=limit, passed=observed >= limit, n=n)

"""Finds the gates, and gives each the settings that the target overrides."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from export_specs.foundation.discovery import discovered_modules, module_of_file
from export_specs.foundation.errors import UserError, choice_error
from export_specs.schema import Profile, TargetSpec
from validation.evidence import Evidence
from validation.gate import AnyGate, Gate, GateSettings
from validation.gate_result import GateResult, no_evidence

_FAMILIES = ("structure", "exact", "near", "task", "theory", "level", "resources")  # the report's order; any other comes after


def find_gates(files: Sequence[Path] = ()) -> dict[str, AnyGate]:
    """Every gate by its id: of each module in ``validation/gates``, and of ``files`` that lie elsewhere.

    Raises:
        UserError: a file that cannot be imported, or that holds no gate; two gates of one id.
    """
    gates: dict[str, AnyGate] = {}
    for module in [*discovered_modules("validation.gates"), *(module_of_file(path) for path in files)]:
        kinds = _gates_in(module)
        if not kinds:
            raise UserError(f"{module.__file__} holds no gate: define one subclass of validation.gate.Gate in it")
        for kind in kinds:
            if kind.id in gates:
                raise UserError(f"{module.__file__}: there is a gate '{kind.id}' already ({inspect.getfile(type(gates[kind.id]))})")
            gates[kind.id] = kind()
    return dict(sorted(gates.items(), key=lambda entry: (_family(entry[0]), entry[0])))


def gate_settings(target: TargetSpec, gates: Mapping[str, AnyGate]) -> dict[str, GateSettings]:
    """The settings of every gate for a target: the defaults, and over them what its ``gates`` say, key by key.

    Raises:
        UserError: a gate or a setting that does not exist, with those that do; a value of another kind.
    """
    overrides = target.gates or {}
    for name in overrides:
        if name not in gates:
            raise UserError(f"target '{target.name}': {choice_error('gate', name, list(gates))}")
    return {name: _overridden(target.name, gate, overrides.get(name, {})) for name, gate in gates.items()}


def judge_all(gates: Mapping[str, AnyGate], settings: Mapping[str, GateSettings], evidence: Evidence, profile: Profile) -> list[GateResult]:
    """The results of all gates that the target asks for. One that gives no result, or a result without evidence, has failed."""
    results: list[GateResult] = []
    for name, gate in gates.items():
        if gate.asked(evidence, settings[name]):
            found = gate.judge(gate.observe(evidence), settings[name], profile)
            results += [_with_evidence(result) for result in found] or [no_evidence(name, name, "the gate came to no result")]
    return results


def explanations(
    gates: Mapping[str, AnyGate], settings: Mapping[str, GateSettings], results: Sequence[GateResult], profile: Profile
) -> dict[str, str]:
    """Each gate's own words for the report, by its id; of the gates that gave a result."""
    given = {result.id for result in results}
    asked = [name for name in gates if name in given or any(found.startswith(f"{name}.") for found in given)]
    return {name: gates[name].render(settings[name], profile) for name in asked}


def _with_evidence(result: GateResult) -> GateResult:
    if result.n or result.state == "failed":
        return result
    return result.model_copy(update={"state": "failed"}).noted("no evidence: nothing was compared")


def _gates_in(module: ModuleType) -> list[type[AnyGate]]:
    """The gates that a module defines, not those that it imports."""
    found = (kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Gate) and not inspect.isabstract(kind))
    return [kind for kind in found if kind.__module__ == module.__name__]


def _family(name: str) -> int:
    family = name.partition(".")[0]
    return _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)


def _overridden(target: str, gate: AnyGate, overrides: Mapping[str, Any]) -> GateSettings:
    where = f"target '{target}': gate '{gate.id}'"
    known = list(gate.settings.model_fields)
    for name in overrides:
        if name not in known:
            if not known:
                raise UserError(f"{where} has no settings, so '{name}' cannot be set")
            raise UserError(f"{where}: {choice_error('setting', name, known)}")
    try:
        return gate.settings.model_validate(_merged(gate.settings().model_dump(mode="json"), overrides))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UserError(f"{where}: {faults}") from error


def _merged(defaults: Mapping[str, Any], overrides: Mapping[Any, Any]) -> dict[str, Any]:
    """``overrides`` over ``defaults``, level by level, so that one profile's limit can be set and the others stay."""
    result = dict(defaults)
    for key, value in overrides.items():
        before = result.get(str(key))
        result[str(key)] = _merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return result

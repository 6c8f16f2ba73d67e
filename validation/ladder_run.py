"""Runs every stage on every evaluation set and gathers the scores, the sweep and the theory's points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from export_specs.foundation.progress import say, tracked
from validation.config import JudgeConfig, SetConfig, StageConfig
from validation.evaluation_set import EvaluationSet, Item
from validation.ladder import ItemScore, StageResult, judge_stage, score_item
from validation.scoring import Scorer, scorer
from validation.stages import Estimates, stage_outputs
from validation.sweep import SweepPoint, sweep
from validation.theory import EstimatePoint, estimate_points


@dataclass
class LadderRun:
    """What the stages gave.

    ``points`` holds the theory's figures of every estimate, by stage, over the test and sweep sets. ``reference`` and ``subject`` are the
    estimates of the test sets by item id, ``items`` their items.
    """

    results: list[StageResult] = field(default_factory=list)
    sweep: list[SweepPoint] = field(default_factory=list)
    points: dict[str, list[EstimatePoint]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    reference: dict[str, Estimates] = field(default_factory=dict)
    subject: dict[str, Estimates] = field(default_factory=dict)

    def test_result(self, stage: str, test_set: str) -> StageResult | None:
        """The result of a stage on a set; None where it did not run."""
        return next((result for result in self.results if result.stage == stage and result.set == test_set), None)


def run_ladder(config: JudgeConfig, sets: Sequence[tuple[SetConfig, EvaluationSet]]) -> LadderRun:
    """Run all stages on all sets, the reference stage first.

    Raises:
        UserError: a stage's file is missing or unfit, or a mixture cannot be scored.
    """
    run = LadderRun()
    with scorer(config.workers) as scoring:
        for entry, data in sets:
            _run_set(config, entry, data, run, scoring)
    return run


def _run_set(config: JudgeConfig, entry: SetConfig, data: EvaluationSet, run: LadderRun, scoring: Scorer) -> None:
    chosen = [stage for stage in config.stages if entry.stages is None or stage.name in entry.stages]
    first = next(stage for stage in chosen if stage.name == config.reference)
    reference = _estimates(config, first, data)
    reference_scores = {score.id: score for score in _scores(scoring, first, data, reference[0], reference[0], {})}
    all_scores: dict[str, list[ItemScore]] = {}
    subject_points: list[EstimatePoint] = []
    for stage in chosen:
        if stage is first:
            (estimates, seconds), scores = reference, list(reference_scores.values())
        else:
            estimates, seconds = _estimates(config, stage, data)
            scores = _scores(scoring, stage, data, estimates, reference[0], reference_scores)
        all_scores[stage.name] = scores
        audio = sum(item.samples for item in data.items if item.id in estimates) / data.manifest.sample_rate
        pace = None if seconds is None else seconds / audio
        run.results.append(
            judge_stage(
                stage.name,
                scores,
                reference_scores,
                set_name=data.manifest.name,
                beside=stage.beside,
                runtime=stage.runtime,
                seconds_per_second=pace,
            )
        )
        if stage is not first and entry.role != "extra":
            jobs = [(i, reference[0][i.id], estimates[i.id]) for i in data.items if i.id in estimates and i.id in reference[0]]
            told = tracked(scoring.map(estimate_points, jobs), f"{data.manifest.name}: {stage.name} beside the theory, mixture", len(jobs))
            found = [point for points in told for point in points]
            run.points.setdefault(stage.name, []).extend(found)
            subject_points += found if stage.name == config.subject else []
        if stage.name == config.subject and entry.role == "test":
            run.subject.update(estimates)
    if entry.role == "test":
        run.reference.update(reference[0])
        run.items.update({item.id: item for item in data.items})
    if entry.role == "sweep":
        run.sweep += sweep(data.manifest.name, data.items, all_scores, reference_scores, config.subject, subject_points)


def _estimates(config: JudgeConfig, stage: StageConfig, data: EvaluationSet) -> tuple[dict[str, Estimates], float | None]:
    outputs = stage_outputs(stage, data, config.workers, config.cache)
    took = "read" if outputs.seconds is None else f"run in {outputs.seconds:.0f} s"
    say(f"judging: {data.manifest.name}: {stage.name}, {len(outputs.estimates)} mixtures {took}")
    return dict(outputs.estimates), outputs.seconds


def _scores(
    scoring: Scorer,
    stage: StageConfig,
    data: EvaluationSet,
    estimates: dict[str, Estimates],
    reference: dict[str, Estimates],
    known: dict[str, ItemScore],
) -> list[ItemScore]:
    """``known``: the reference stage's scores, as far as they are."""
    items = [item for item in data.items if item.id in estimates and item.id in reference]
    jobs = [(item, estimates[item.id], reference[item.id], data.manifest.sample_rate, known.get(item.id)) for item in items]
    return list(tracked(scoring.map(score_item, jobs), f"{data.manifest.name}: {stage.name} is scored, mixture", len(jobs)))

"""From answers to the numbers of a trial: scores of each example, their means, and the rows of the predictions file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.models.backend import Generation
from harness.scoring.repetition import repeats_itself
from harness.scoring.rouge import Rouge
from harness.scoring.selection import MetricResult, measure
from methods.types import Example
from reports.records.metrics import METRICS, Metric


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one trial and the rows of its predictions file, in the order of the examples."""

    metrics: dict[str, float | None]
    scores: dict[str, list[float]]
    """Metric → value of each example, for metrics that are means over examples."""
    rows: list[dict[str, Any]]
    cut: int
    """Number of examples whose input or target was cut to the limits."""
    declared: dict[str, Metric] = field(default_factory=dict)
    """Declarations of metrics that do not come with the harness."""


def summarise(
    examples: Sequence[Example],
    generations: Sequence[Generation],
    generating_seconds: float,
    loss: list[float] | None,
    cut: int,
) -> Evaluation:
    """Score the answers, and collect metrics and prediction rows."""
    texts = [g.text for g in generations]
    found = measure(Rouge(), examples, texts)
    count = len(examples)
    tokens = sum(g.tokens for g in generations)
    rows = [
        {
            "id": example.id,
            "references": list(example.references),
            "prediction": generation.text,
            "tokens": generation.tokens,
            "finished": generation.finished,
            "scores": {},
        }
        for example, generation in zip(examples, generations, strict=True)
    ]
    scored = add_metric(Evaluation({}, {}, rows, cut), found)
    scores = scored.scores if loss is None else {**scored.scores, "heldout_loss": loss}
    metrics: dict[str, float | None] = {
        **scored.metrics,
        **({} if loss is None else {"heldout_loss": math.fsum(loss) / count}),
    }
    metrics.update(
        generated_tokens_per_second=tokens / generating_seconds if generating_seconds > 0 else None,
        mean_generated_tokens=tokens / count,
        empty_outputs_percent=100 * sum(not g.text for g in generations) / count,
        unfinished_outputs_percent=100 * sum(not g.finished for g in generations) / count,
        repeated_outputs_percent=100 * sum(map(repeats_itself, texts)) / count,
    )
    return replace(scored, metrics=metrics, scores=scores)


def add_metric(evaluation: Evaluation, measured: MetricResult) -> Evaluation:
    """Return the evaluation with another metric added: to the means, the scores and the rows.

    A metric that gave no values has `None` for a mean, and no scores.
    """
    found = {name: [row[name] for row in measured.rows] for name in measured.declared if any(measured.rows)}
    means = {name: math.fsum(found[name]) / len(found[name]) if name in found else None for name in measured.declared}
    return replace(
        evaluation,
        metrics={**evaluation.metrics, **means},
        scores={**evaluation.scores, **found},
        rows=[
            {**old, "scores": {**old["scores"], **_round_row(new)}}
            for old, new in zip(evaluation.rows, measured.rows, strict=True)
        ],
        declared=evaluation.declared
        | {name: declaration for name, declaration in measured.declared.items() if name not in METRICS},
    )


def _round_row(row: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in row.items()}


def round_scores(scores: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Scores as a record keeps them; a metric with a value that is not finite is left out."""
    finite = {name: values for name, values in scores.items() if all(map(math.isfinite, values))}
    return {name: tuple(round(value, 6) for value in values) for name, values in finite.items()}

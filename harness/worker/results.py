"""What a trial has found out so far: it becomes the outcome, whether the trial succeeds or fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.scoring.summary import round_scores
from reports.metrics import Metric


@dataclass
class TrialResults:
    """Filled while the trial runs."""

    done: dict[str, int] = field(default_factory=lambda: {"steps": 0, "tokens": 0, "examples": 0})
    """`steps`, `tokens` and `examples` trained."""
    cut: dict[str, int] = field(default_factory=dict)
    """Split → number of examples that were cut to the limits."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Metric → value of each example, for metrics that are means over examples."""
    declared: dict[str, Metric] = field(default_factory=dict)
    """Declarations of metrics that do not come with the harness."""
    parameters: int | None = None
    """Of the prepared model, trainable or not."""

    def add(self, metrics: Mapping[str, float | None], scores: Mapping[str, Sequence[float]]) -> None:
        """Add metrics, and the scores of those whose values are all finite."""
        self.metrics.update(metrics)
        self.scores.update(round_scores(scores))

    def add_parameters(self, trainable: int, total: int) -> None:
        """Add how many parameters the model has and trains."""
        self.parameters = total
        self.metrics.update(
            trainable_parameters=trainable,
            total_parameters=total,
            trainable_percent=100 * trainable / total if trainable else 0.0,
        )

"""ROUGE as a metric like the others. It is measured whatever was asked for, because ROUGE-L ranks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.scoring.base import MetricPlugin, References
from reports.records.metrics import METRICS


class Rouge(MetricPlugin):
    """`harness.scoring.fast_rouge` under the names that `reports.metrics` declares."""

    name = "rouge"
    summary = "ROUGE-1, -2, -L and -Lsum, F1, stemmed; always measured, because ROUGE-L ranks"
    declares = tuple(METRICS[name] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum"))

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """F1 against the best reference, 0 to 1."""
        from harness.scoring.fast_rouge import score_rouge

        return score_rouge(predictions, references)

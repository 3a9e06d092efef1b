"""ROUGE as a metric like the others. It is measured whatever was asked for, because ROUGE-L ranks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.scoring.base import BlindSpot, MetricPlugin, References
from harness.scoring.words import DESCRIPTION, count_without_words, find_version
from reports.records.metrics import METRICS


class Rouge(MetricPlugin):
    """`harness.scoring.fast_rouge` under the names that `reports.metrics` declares.

    References without a single word, of emoji for instance, score 0 whatever is answered. Where all are like that,
    there is no score.
    """

    name = "rouge"
    summary = "ROUGE-1, -2, -L and -Lsum, F1, stemmed; always measured, because ROUGE-L ranks"
    declares = tuple(METRICS[name] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum"))
    words = f"{DESCRIPTION}; those of ASCII letters are stemmed (Porter)"

    @property
    def revision(self) -> str:
        """The version of Unicode's tables that split words."""
        return find_version()

    def find_blind_spot(self, references: References) -> BlindSpot | None:
        """Count the examples whose references have no words."""
        blind, count = count_without_words(references), len(references)
        if not blind:
            return None
        if blind == count:
            said = "no reference has a word that ROUGE could compare (letters or digits), so it has no value"
            return BlindSpot(said, total=True)
        return BlindSpot(
            f"{blind:,} of {count:,} examples have no word in their references (letters or digits), so that their "
            "ROUGE is 0 whatever is answered"
        )

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """F1 against the best reference, 0 to 1."""
        from harness.scoring.fast_rouge import score_rouge

        return score_rouge(predictions, references)

"""chrF and BLEU of sentences, by sacreBLEU (Post 2018) with its defaults, on the scale from 0 to 1 that ROUGE has.

A metric here is a mean over examples, which can be resampled and tested in pairs. That is not the BLEU of a corpus,
which counts the n-grams of all sentences together; the two must not be compared.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from harness.scoring.base import MetricPlugin, References
from reports.records.metrics import Metric


class _SacrebleuMetric(MetricPlugin):
    """A sentence score of sacreBLEU over 100."""

    package = "sacrebleu"
    install = "finetune-harness[metrics]"
    title: str
    formula: str

    @property
    def declares(self) -> tuple[Metric, ...]:
        """One number, called as the metric is."""
        formula = f"mean over examples of {self.formula} ÷ 100 (sacreBLEU {version('sacrebleu')})"
        return (Metric(self.name, self.title, "score", "higher", formula),)

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """The score against all references of an example, 0 to 1."""
        scorer = self.scorer()
        return [
            {self.name: scorer.sentence_score(given, list(wanted)).score / 100}
            for given, wanted in zip(predictions, references, strict=True)
        ]

    @abstractmethod
    def scorer(self) -> Any:
        """The metric object of sacreBLEU."""


class Chrf(_SacrebleuMetric):
    """Character n-grams: works without words, and is kind to inflected forms."""

    name = "chrf"
    summary = "chrF2: character n-gram F-score of each sentence, best reference"
    title = "chrF"
    formula = "sentence chrF2 against the best reference"

    def scorer(self) -> Any:
        """Character order 6, no word n-grams, beta 2."""
        from sacrebleu.metrics import CHRF

        return CHRF()


class Bleu(_SacrebleuMetric):
    """Word n-grams; of sentences, which is why short ones need the effective order."""

    name = "bleu"
    summary = "BLEU of each sentence against all its references; not corpus BLEU"
    title = "sentence BLEU"
    formula = (
        "sentence BLEU against all references (13a words, exponential smoothing, effective order), not corpus BLEU,"
    )

    def scorer(self) -> Any:
        """Order 4, or as many words as the prediction has."""
        from sacrebleu.metrics import BLEU

        return BLEU(effective_order=True)

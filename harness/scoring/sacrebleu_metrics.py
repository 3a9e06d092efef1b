"""chrF and BLEU of sentences, by sacreBLEU (Post 2018) with its defaults, on the scale from 0 to 1 that ROUGE has.

A metric here is a mean over examples, which can be resampled and tested in pairs. That is not the BLEU of a corpus,
which counts the n-grams of all sentences together; the two must not be compared.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from harness.errors import SpecError
from harness.scoring.base import BlindSpot, MetricPlugin, References
from harness.scoring.words import count_unspaced
from methods.errors import describe_error
from methods.knobs import knob
from reports.records.metrics import Metric


class _SacrebleuMetric(MetricPlugin):
    """A sentence score of sacreBLEU over 100."""

    package = "sacrebleu"
    install = "finetune-harness[metrics]"

    @property
    def measured(self) -> str:
        """What records call its number."""
        return self.name

    @property
    @abstractmethod
    def title(self) -> str:
        """The head of its column."""

    @property
    @abstractmethod
    def formula(self) -> str:
        """How it is computed."""

    @property
    def declares(self) -> tuple[Metric, ...]:
        """One number, called as the metric is."""
        formula = f"mean over examples of {self.formula} ÷ 100 (sacreBLEU {version('sacrebleu')})"
        return (Metric(self.measured, self.title, "score", "higher", formula),)

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """The score against all references of an example, 0 to 1."""
        scorer = self.scorer()
        return [
            {self.measured: scorer.sentence_score(given, list(wanted)).score / 100}
            for given, wanted in zip(predictions, references, strict=True)
        ]

    @abstractmethod
    def scorer(self) -> Any:
        """The metric object of sacreBLEU."""


class Chrf(_SacrebleuMetric):
    """Character n-grams: works without words, and is kind to inflected forms."""

    name = "chrf"
    summary = "chrF2: character n-gram F-score of each sentence, best reference"
    words = "characters, without blanks"
    title = "chrF"
    formula = "sentence chrF2 against the best reference"

    def scorer(self) -> Any:
        """Character order 6, no word n-grams, beta 2."""
        from sacrebleu.metrics import CHRF

        return CHRF()


_WITH_BLANKS = ("13a", "intl")
"""Tokenisations of sacreBLEU that end words at blanks and punctuation."""


@dataclass(frozen=True)
class BleuConfig:
    """Knobs of BLEU."""

    tokenize: Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char"] = knob(
        "13a",
        "How words are split: zh for Chinese, ja-mecab and ko-mecab for Japanese and Korean, with packages of their "
        "own (sacrebleu[ja], sacrebleu[ko]), char for any script without blanks.",
        source="sacreBLEU's default.",
    )


class Bleu(_SacrebleuMetric):
    """Word n-grams; of sentences, which is why short ones need the effective order."""

    name = "bleu"
    summary = "BLEU of each sentence against all its references; not corpus BLEU"
    Config = BleuConfig

    @property
    def label(self) -> str:
        """The name, with the tokenisation where it is not the default."""
        return self.name if self._is_usual else f"{self.name}[tokenize={self.config.tokenize}]"

    @property
    def measured(self) -> str:
        """What records call it: numbers of two tokenisations are not the same metric."""
        return self.name if self._is_usual else f"{self.name}[{self.config.tokenize}]"

    @property
    def title(self) -> str:
        """The head of its column."""
        return "sentence BLEU" if self._is_usual else f"sentence BLEU ({self.config.tokenize})"

    @property
    def formula(self) -> str:
        """How it is computed."""
        return (
            f"sentence BLEU against all references ({self.config.tokenize} words, exponential smoothing, effective "
            "order), not corpus BLEU,"
        )

    @property
    def words(self) -> str:
        """How it splits texts."""
        return f"sacreBLEU's {self.config.tokenize}"

    def check(self) -> None:
        """Raise `SpecError` where the tokenisation needs a package that is not there."""
        try:
            self.scorer()
        except (ImportError, RuntimeError) as error:
            language = self.config.tokenize.partition("-")[0]
            raise SpecError(
                f'{self.label} needs another package: pip install "sacrebleu[{language}]" ({describe_error(error)})'
            ) from error

    def find_blind_spot(self, references: References) -> BlindSpot | None:
        """Count the examples whose references have no blanks between words, if it goes by blanks."""
        blind = count_unspaced(references) if self.config.tokenize in _WITH_BLANKS else 0
        if not blind:
            return None
        return BlindSpot(
            f"{blind:,} of {len(references):,} examples have references in a script without blanks between words, "
            f"where {self.label} takes whole phrases for words; bleu[tokenize=char] or bleu[tokenize=zh] does not"
        )

    def scorer(self) -> Any:
        """Order 4, or as many words as the prediction has."""
        from sacrebleu.metrics import BLEU

        return BLEU(effective_order=True, tokenize=self.config.tokenize)

    @property
    def _is_usual(self) -> bool:
        return bool(self.config.tokenize == BleuConfig().tokenize)

"""Exact match and token F1, as SQuAD's evaluation defines them (Rajpurkar et al. 2016), the best reference counting.

Beyond ASCII they follow MLQA's (Lewis et al. 2020): punctuation of any script is left out, and texts in scripts without
blanks go by single characters.
"""

from __future__ import annotations

import re
import string
import unicodedata
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence

from harness.scoring.base import BlindSpot, MetricPlugin, References
from harness.scoring.words import find_version, fold, split_unspaced
from reports.records.metrics import Metric

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def split_words(text: str) -> list[str]:
    """The words that are compared: lower case, without punctuation and English articles."""
    folded = fold(text).translate(_PUNCTUATION)
    if not folded.isascii():
        folded = "".join(sign for sign in folded if not unicodedata.category(sign).startswith("P"))
    return split_unspaced(_ARTICLES.sub(" ", folded))


class _Overlap(MetricPlugin):
    """Compares the words of a prediction with those of each reference."""

    words = (
        "words are what blanks separate, without punctuation and a/an/the; single characters (grapheme clusters) in "
        "scripts without blanks"
    )

    @property
    def revision(self) -> str:
        """The version of Unicode's tables that split words."""
        return find_version()

    def find_blind_spot(self, references: References) -> BlindSpot | None:
        """Count the examples with a reference that has no words: an empty answer is right there."""
        blind = sum(any(not split_words(text) for text in wanted) for wanted in references)
        if not blind:
            return None
        return BlindSpot(
            f"{blind:,} of {len(references):,} examples have a reference of punctuation or articles alone, so that an "
            "answer without words counts as right there"
        )

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """The value for the best reference, 0 to 1."""
        (metric,) = self.declares
        return [
            {metric.name: max(self.compare(split_words(given), split_words(one)) for one in wanted)}
            for given, wanted in zip(predictions, references, strict=True)
        ]

    @abstractmethod
    def compare(self, given: list[str], wanted: list[str]) -> float:
        """How well the words of a prediction agree with those of one reference, 0 to 1."""


class ExactMatch(_Overlap):
    """Whether the same words stand there in the same order."""

    name = "exact-match"
    summary = "share of predictions that are a reference, but for case, punctuation and articles"
    declares = (
        Metric(
            "exact_match",
            "exact match",
            "score",
            "higher",
            "share of examples whose prediction equals a reference, in lower case, without punctuation and a/an/the",
        ),
    )

    def compare(self, given: list[str], wanted: list[str]) -> float:
        """1 or 0."""
        return float(given == wanted)


class TokenF1(_Overlap):
    """The words that two texts share, in whatever order."""

    name = "token-f1"
    summary = "F1 of the words shared with the best reference, but for case, punctuation and articles"
    declares = (
        Metric(
            "token_f1",
            "token F1",
            "score",
            "higher",
            "mean over examples of the best reference's F1 of shared words (with their counts), in lower case, without "
            "punctuation and a/an/the",
        ),
    )

    def compare(self, given: list[str], wanted: list[str]) -> float:
        """Harmonic mean of precision and recall; where a side has no words, 1 if neither has any, else 0."""
        if not given or not wanted:
            return float(given == wanted)
        shared = sum((Counter(given) & Counter(wanted)).values())
        return 2 * shared / (len(given) + len(wanted))

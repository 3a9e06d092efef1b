"""ROUGE F1 of each example against its best reference, stemmed.

The formulas are those of `rouge_score`, and so are the values of ASCII texts, about four times as fast. `rouge_score`
knows no letters besides a to z; here words are those of `harness.scoring.words`, in any script.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rouge_score import rouge_scorer, tokenizers

from harness.scoring.words import find_words

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def score_rouge(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """One dict per example: ROUGE type → F1 against the best of its references, 0 to 1.

    ROUGE-Lsum takes lines as sentences, as `rouge_score` does. A blank prediction scores 0. Raises `ValueError` for
    an empty list, for lists of different lengths and for an example without references.
    """
    if not predictions:
        raise ValueError("nothing to score: the list of predictions is empty")
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} lists of references")
    if not all(references):
        raise ValueError("an example has no reference")
    scorer = rouge_scorer.RougeScorer(list(ROUGE_TYPES), tokenizer=_CachedStemmer())
    return [
        {name: value.fmeasure for name, value in scorer.score_multi(list(wanted), given).items()}
        for given, wanted in zip(predictions, references, strict=True)
    ]


class _CachedStemmer(tokenizers.Tokenizer):  # type: ignore[misc]
    """Words in any script, those of ASCII letters with Porter stemming, each distinct word stemmed once."""

    def tokenize(self, text: str) -> list[str]:
        """The words that are compared, in order."""
        return [_stem(word) for word in find_words(text)]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    # The stemmer is of English; rouge_score gives it only words of more than three letters.
    return str(_porter().stem(word)) if len(word) > 3 and word.isascii() else word


@lru_cache(maxsize=1)
def _porter() -> Any:
    from nltk.stem import porter

    return porter.PorterStemmer()

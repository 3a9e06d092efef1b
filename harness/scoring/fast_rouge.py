"""ROUGE F1 of each example against its best reference, stemmed.

The values are those of `rouge_score`, about four times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rouge_score import rouge_scorer, tokenize, tokenizers

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
    """`rouge_score`'s default tokenizer with Porter stemming, each distinct word stemmed once."""

    def tokenize(self, text: str) -> list[str]:
        """Words as `rouge_score` splits and stems them."""
        return [_stem(word) for word in tokenize.NON_ALPHANUM_RE.sub(" ", text.lower()).split() if word]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    # rouge_score stems only words of more than three letters
    return str(_porter().stem(word)) if len(word) > 3 else word


@lru_cache(maxsize=1)
def _porter() -> Any:
    from nltk.stem import porter

    return porter.PorterStemmer()

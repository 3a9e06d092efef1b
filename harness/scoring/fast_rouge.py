"""ROUGE F1 of each example against its best reference, stemmed. Same values as `rouge_score`, about four times as fast.

`score_rouge` is what the evaluation uses. `make_evaluate_metric` wraps it as an `evaluate.Metric` for code that uses
that library; unlike `evaluate.load("rouge")` it needs no network. Only this function imports `evaluate`, which takes
seconds.
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


def make_evaluate_metric() -> Any:
    """The same scores as an `evaluate.Metric`: `compute(predictions=…, references=…)` returns means by ROUGE type."""
    import datasets
    import evaluate

    class Rouge(evaluate.Metric):  # type: ignore[misc]
        """Multi-reference ROUGE without a network."""

        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description="ROUGE F1, stemmed, best of several references",
                citation="Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries",
                inputs_description="predictions: list of texts; references: list of lists of texts",
                features=datasets.Features(
                    {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}
                ),
            )

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
            rows = score_rouge(predictions, references)
            return {name: sum(row[name] for row in rows) / len(rows) for name in ROUGE_TYPES}

    return Rouge()


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

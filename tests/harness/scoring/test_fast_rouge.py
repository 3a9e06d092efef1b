"""ROUGE against values worked out by hand, and against `rouge_score` itself with its own stemmer."""

from __future__ import annotations

import random

import pytest
from rouge_score import rouge_scorer

from harness.scoring.fast_rouge import ROUGE_TYPES, score_rouge


def test_values_worked_out_by_hand():
    # Prediction 4 words, reference 6. Unigrams in common: the, cat, sat → P 3/4, R 3/6, F 0.6.
    # Bigrams in common: "the cat", "cat sat" of 3 and 5 → P 2/3, R 2/5, F 0.5. LCS: the cat sat → F 0.6.
    (row,) = score_rouge(["the cat sat down"], [["the cat sat on the mat"]])
    assert row == pytest.approx({"rouge1": 0.6, "rouge2": 0.5, "rougeL": 0.6, "rougeLsum": 0.6})


def test_the_order_of_words_counts_for_rouge_l_only():
    # LCS of "a b c d" and "d c b a" is one word.
    (row,) = score_rouge(["aa bb cc dd"], [["dd cc bb aa"]])
    assert row["rouge1"] == 1
    assert row["rouge2"] == 0
    assert row["rougeL"] == pytest.approx(0.25)


def test_lsum_takes_lines_as_sentences():
    # Swapped lines: ROUGE-L sees one order, ROUGE-Lsum matches line by line.
    (row,) = score_rouge(["one two\nthree four"], [["three four\none two"]])
    assert row["rougeL"] == pytest.approx(0.5)
    assert row["rougeLsum"] == pytest.approx(1)


def test_the_best_reference_counts_per_metric():
    (row,) = score_rouge(["red green blue"], [["nothing shared", "red green blue", "red"]])
    assert set(row.values()) == {1.0}


def test_stemming_joins_forms_of_a_word():
    (row,) = score_rouge(["he walks slowly"], [["he walked slowly"]])
    assert row["rouge1"] == 1


def test_a_blank_prediction_scores_nothing():
    assert set(score_rouge([""], [["some words"]])[0].values()) == {0.0}


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [([], [], "empty"), (["a"], [], "1 predictions for 0"), (["a"], [[]], "no reference")],
)
def test_what_cannot_be_scored_is_refused(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        score_rouge(predictions, references)


def test_random_texts_score_as_rouge_score_does():
    dice = random.Random(7)
    words = ["running", "runs", "Tom's", "flies", "dogs,", "3.5", "naive", "uber", "U.S.", "happily", "a", "of", "7pm"]
    words += ["generalization", "#Person1#:", "--", "snake_case", "!?"]

    def text():
        return "\n".join(" ".join(dice.choices(words, k=dice.randint(0, 9))) for _ in range(dice.randint(1, 3)))

    scorer = rouge_scorer.RougeScorer(list(ROUGE_TYPES), use_stemmer=True)
    predictions = [text() for _ in range(200)]
    references = [[text() for _ in range(dice.randint(1, 3))] for _ in predictions]
    for ours, given, wanted in zip(score_rouge(predictions, references), predictions, references, strict=True):
        theirs = scorer.score_multi(wanted, given)
        assert ours == {name: theirs[name].fmeasure for name in ROUGE_TYPES}

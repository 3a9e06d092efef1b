"""The metrics that come with the harness: values by hand, and sacreBLEU's own."""

from __future__ import annotations

import math
import random

import pytest

from harness.scoring import registry
from harness.scoring.fast_rouge import ROUGE_TYPES, score_rouge
from harness.scoring.overlap import split_words
from reports.records.metrics import METRICS

sacrebleu = pytest.importorskip("sacrebleu")


def values(name: str, predictions: list[str], references: list[tuple[str, ...]]) -> list[float]:
    plugin = registry.build(name, {})
    (metric,) = plugin.declares
    rows = plugin.score(predictions, references, [""] * len(predictions))
    assert {key for row in rows for key in row} == {metric.name}
    return [row[metric.name] for row in rows]


def test_the_words_that_are_compared():
    assert split_words("The U.S. isn't  a\tTheme-park; an Apple!") == ["us", "isnt", "themepark", "apple"]
    assert split_words("A the, an.") == []


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("The cat!", ("a cat",), 1, 1),
        ("cat the", ("The cat",), 1, 1),  # an article has no place
        ("sat cat", ("cat sat",), 0, 1),
        ("cat sat down", ("the cat", "cat sat here now"), 0, 4 / 7),  # 2·1 of 3+1 is 1/2, 2·2 of 3+4 is 4/7
        ("x x y", ("x y y z",), 0, 4 / 7),  # one x and one y are shared
        ("", ("a", "b"), 1, 1),  # "a" has no words
        ("", ("b",), 0, 0),
        ("b", ("the",), 0, 0),
    ],
)
def test_exact_match_and_token_f1_by_hand(prediction, references, exact, f1):
    assert values("exact-match", [prediction], [references]) == [exact]
    assert values("token-f1", [prediction], [references]) == pytest.approx([f1])


def test_sentence_bleu_by_hand():
    # Every n-gram up to 3 is there (effective order 3), and the prediction is 3 words to the reference's 4.
    assert values("bleu", ["the cat sat"], [("the cat sat on",)]) == pytest.approx([math.exp(1 - 4 / 3)])
    assert values("bleu", ["a b c d e", ""], [("x y", "a b c d e"), ("a",)]) == pytest.approx([1, 0])


def test_sentence_chrf_by_hand():
    # Characters of "ab" and "abc" (blanks do not count): order 1 shares 2 of 2 and 3, order 2 shares 1 of 1 and 2, and
    # order 3 is beyond the prediction. Precision 1, recall (2/3 + 1/2)/2 = 7/12, F2 = 5·P·R/(4·P + R).
    assert values("chrf", ["ab"], [("abc",)]) == pytest.approx([5 * 7 / 12 / (4 + 7 / 12)])
    assert values("chrf", ["ab", "x"], [("zz", "ab"), ("y",)]) == pytest.approx([1, 0])


def test_chrf_and_bleu_are_sacrebleus_own():
    dice = random.Random(3)
    vocabulary = ["the", "cat's", "dog,", "sat", "U.S.", "naïve", "3.5", "on", "mat.", "日本語"]
    predictions = [" ".join(dice.choices(vocabulary, k=dice.randint(0, 12))) for _ in range(100)]
    references = [
        tuple(" ".join(dice.choices(vocabulary, k=dice.randint(1, 12))) for _ in range(dice.randint(1, 3)))
        for _ in predictions
    ]
    pairs = list(zip(predictions, map(list, references), strict=True))
    assert values("chrf", predictions, references) == [sacrebleu.sentence_chrf(*pair).score / 100 for pair in pairs]
    assert values("bleu", predictions, references) == [sacrebleu.sentence_bleu(*pair).score / 100 for pair in pairs]
    assert len(set(values("bleu", predictions, references))) > 20


def test_rouge_is_a_metric_like_the_others():
    plugin = registry.build("rouge", {})
    assert plugin.declares == tuple(METRICS[name] for name in ROUGE_TYPES)
    texts, references = ["the cat sat", "no"], [("the cat", "x"), ("yes",)]
    assert plugin.score(texts, references, ["", ""]) == score_rouge(texts, references)


def test_what_is_said_of_them_names_the_version_and_the_trap():
    (bleu,) = registry.build("bleu", {}).declares
    assert sacrebleu.__version__ in bleu.formula
    assert "not corpus BLEU" in bleu.formula
    for name, found in registry.all_metrics():
        assert found.summary
        if name != "embedding-similarity":
            for metric in found().declares:
                assert (metric.unit, metric.direction) == ("score", "higher")

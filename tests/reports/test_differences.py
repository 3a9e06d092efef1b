"""What a table says of differences, from scores of which the truth is known."""

from __future__ import annotations

import csv
import io
import random

import pytest

from reports.aggregate import tables
from reports.leaderboard import render
from reports.rank import places


@pytest.fixture
def scored(make):
    """A function that makes the records of a variant: a mean for each seed, examples shared by all variants."""

    def scored(variant, means, spread=0.02):
        records = []
        for seed, mean in enumerate(means):
            dice, own = random.Random("examples"), random.Random(f"{variant}/{seed}")
            values = [mean + dice.uniform(-0.2, 0.2) + own.uniform(-spread, spread) for _ in range(200)]
            shift = mean - sum(values) / len(values)
            scores = tuple(value + shift for value in values)
            metrics = {"rougeL": mean, "train_seconds": 60.0 + seed}
            records.append(make(variant, seed=seed, metrics=metrics, scores={"rougeL": scores}))
        return records

    return scored


def ranks(records):
    (table,) = tables(records)
    return {place.row.variant: place.rank for place in places(table) if place.rank is not None}


def test_rows_that_are_not_told_apart_share_a_rank_and_the_next_keeps_its_place(scored):
    records = [
        *scored("full", [0.500, 0.502, 0.498, 0.501, 0.499]),
        *scored("instruction", [0.499, 0.503, 0.500, 0.497, 0.499]),
        *scored("lora", [0.400, 0.402, 0.398, 0.401, 0.399]),
    ]
    assert ranks(records) == {"full": 1, "instruction": 1, "lora": 3}
    text = render(records)["leaderboard.md"]
    assert "Not told apart from it: instruction. Told apart from it: lora. (5 seeds" in text
    assert "- full and instruction are not told apart: a difference of 0.000 ROUGE-L" in text
    assert "- instruction scores higher than lora: by 0.100 ROUGE-L" in text


def test_a_method_against_itself_is_not_told_apart(scored):
    records = scored("lora", [0.40, 0.42, 0.41])
    twin = [type(r)(**{**vars(r), "variant": "lora again", "trial_id": r.trial_id[::-1]}) for r in records]
    assert ranks([*records, *twin]) == {"lora": 1, "lora again": 1}
    assert "lora and lora again are not told apart" in render([*records, *twin])["leaderboard.md"]


def test_one_seed_says_something_about_two_models_and_nothing_about_methods(scored):
    records = [*scored("full", [0.5]), *scored("lora", [0.4])]
    text = render(records)["leaderboard.md"]
    assert "One seed cannot tell whether differences between methods are real." in text
    assert "with one seed only these two trained models are told apart" in text
    assert "over examples, and with one seed say nothing of others" in text
    (row,) = csv.DictReader(io.StringIO(render(records)["differences.csv"]))
    assert (row["seeds"], row["told_apart"]) == ("1", "False")


def test_the_base_counts_with_every_seed(scored, make):
    base = make("base", metrics={"rougeL": 0.2}, scores=scored("base", [0.2])[0].scores)
    text = render([base, *scored("lora", [0.40, 0.42, 0.41])])["leaderboard.md"]
    assert "- lora scores higher than base: by 0.210 ROUGE-L" in text
    assert "over 3 seeds" in text


def test_the_file_of_pairs_and_the_table_have_intervals_that_hold_the_difference(scored):
    files = render([*scored("full", [0.50, 0.51, 0.49]), *scored("lora", [0.40, 0.41, 0.39])])
    (pair,) = csv.DictReader(io.StringIO(files["differences.csv"]))
    assert float(pair["difference"]) == pytest.approx(0.1, abs=1e-9)
    assert float(pair["low"]) < 0.1 < float(pair["high"])
    assert float(pair["p"]) <= float(pair["p_holm"])
    for row in csv.DictReader(io.StringIO(files["leaderboard.csv"])):
        assert float(row["rougeL_low"]) < float(row["rougeL"]) < float(row["rougeL_high"])
        assert float(row["rougeL_deviation"]) == pytest.approx(0.01)
        # Student's t with two degrees of freedom: 4.303 times the standard error of 60, 61 and 62 seconds
        assert float(row["train_seconds_high"]) == pytest.approx(61 + 4.3027 / 3**0.5, rel=1e-3)


def test_scores_of_another_length_are_of_other_data_and_left_out(scored, make):
    short = make("prefix", metrics={"rougeL": 0.1}, scores={"rougeL": (0.1, 0.1)})
    records = [*scored("full", [0.5, 0.5]), *scored("lora", [0.4, 0.4]), short]
    assert ranks(records) == {"full": 1, "lora": 2, "prefix": 3}
    assert all("prefix" not in row for row in render(records)["differences.csv"].splitlines())


def test_a_failed_seed_leaves_the_seeds_that_both_have(scored, failed):
    records = [*scored("full", [0.5, 0.51, 0.49]), *scored("lora", [0.4, 0.41])]
    records.append(failed("lora", "oom", "no room", seed=2))
    (pair,) = csv.DictReader(io.StringIO(render(records)["differences.csv"]))
    assert pair["seeds"] == "2"


def test_a_row_below_a_group_that_is_not_told_apart_from_the_best_is_not_said_to_be(scored):
    # The last one's seeds lie so far apart that it may be anything, though its mean is the lowest.
    records = [
        *scored("full", [0.500, 0.501, 0.499]),
        *scored("lora", [0.450, 0.451, 0.449]),
        *scored("prefix", [0.100, 0.440, 0.750]),
    ]
    assert ranks(records) == {"full": 1, "lora": 2, "prefix": 2}
    text = render(records)["leaderboard.md"]
    assert "Not told apart from it: prefix. Told apart from it: lora." in text


def test_of_rows_that_cannot_be_compared_no_interval_and_no_difference_is_given(scored):
    other = [type(r)(**{**vars(r), "budget": {"unit": "steps", "amount": 99.0}}) for r in scored("lora", [0.4, 0.41])]
    files = render([*scored("full", [0.50, 0.51]), *other], allow_mixed=True)
    assert "### Are the differences real?" not in files["leaderboard.md"]
    assert "told apart" not in files["leaderboard.md"].lower()
    assert len(files["differences.csv"].splitlines()) == 1
    assert not [
        row["rougeL_low"] for row in csv.DictReader(io.StringIO(files["leaderboard.csv"])) if "rougeL_low" in row
    ]

"""What a table says of differences, from scores of which the truth is known."""

from __future__ import annotations

import csv
import io
import random

import pytest

from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables
from reports.leaderboard import render


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
    (table,) = build_tables(records)
    return {place.row.variant: place.rank for place in Standing(table).places if place.rank is not None}


def test_rows_that_are_not_significantly_different_share_a_rank_and_the_next_keeps_its_place(scored):
    records = [
        *scored("full", [0.500, 0.502, 0.498, 0.501, 0.499]),
        *scored("instruction", [0.499, 0.503, 0.500, 0.497, 0.499]),
        *scored("lora", [0.400, 0.402, 0.398, 0.401, 0.399]),
    ]
    assert ranks(records) == {"full": 1, "instruction": 1, "lora": 3}
    text = render(records)["leaderboard.md"]
    assert "Not significantly different from it: instruction. Significantly different from it: lora. (5 seeds" in text
    assert "- full and instruction are not significantly different: a difference of 0.000 ROUGE-L" in text
    assert "- instruction scores significantly higher than lora: by 0.100 ROUGE-L" in text


def test_a_method_against_itself_is_not_significantly_different(scored):
    records = scored("lora", [0.40, 0.42, 0.41])
    twin = [type(r)(**{**vars(r), "variant": "lora again", "trial_id": r.trial_id[::-1]}) for r in records]
    assert ranks([*records, *twin]) == {"lora": 1, "lora again": 1}
    assert "lora and lora again are not significantly different" in render([*records, *twin])["leaderboard.md"]


def test_one_seed_says_something_about_two_models_and_nothing_about_methods(scored):
    records = [*scored("full", [0.5]), *scored("lora", [0.4])]
    text = render(records)["leaderboard.md"]
    assert "One seed cannot tell whether differences between methods are real." in text
    assert "with one seed only these two trained models are significantly different" in text
    assert "alone where there is one seed or the row is the base, which says nothing of other seeds" in text
    (row,) = csv.DictReader(io.StringIO(render(records)["differences.csv"]))
    assert (row["seeds"], row["told_apart"]) == ("1", "False")


def test_the_base_counts_with_every_seed(scored, make):
    base = make("base", metrics={"rougeL": 0.2}, scores=scored("base", [0.2])[0].scores)
    text = render([base, *scored("lora", [0.40, 0.42, 0.41])])["leaderboard.md"]
    assert "- lora scores significantly higher than base: by 0.210 ROUGE-L" in text
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


def test_a_row_below_a_group_that_is_not_significantly_different_from_the_best_is_not_said_to_be(scored):
    # The last one's seeds lie so far apart that it may be anything, though its mean is the lowest.
    records = [
        *scored("full", [0.500, 0.501, 0.499]),
        *scored("lora", [0.450, 0.451, 0.449]),
        *scored("prefix", [0.100, 0.440, 0.750]),
    ]
    assert ranks(records) == {"full": 1, "prefix": 1, "lora": 2}
    text = render(records)["leaderboard.md"]
    assert "Not significantly different from it: prefix. Significantly different from it: lora." in text


# What a reader could be misled by: rows with other seeds, failures, the base, one seed


def test_the_better_of_two_rows_is_the_one_that_is_better_on_the_seeds_that_both_have(scored):
    records = [
        *scored("early", [0.30, 0.31, 0.29, 0.80, 0.81, 0.79]),  # the mean is the higher one, of later seeds
        *scored("late", [0.40, 0.41, 0.39]),
    ]
    assert ranks(records) == {"late": 1, "early": 2}
    text = render(records)["leaderboard.md"]
    assert (
        "Best in ROUGE-L on the seeds that rows have in common: late, 0.400. Significantly different from it: early."
        in text
    )
    assert "- late scores significantly higher than early: by 0.100 ROUGE-L" in text
    assert "Rows do not all have the same seeds" in text


def test_seeds_that_failed_are_told_beside_the_seeds_and_in_the_first_sentence(scored, failed):
    records = [*scored("full", [0.50, 0.51]), *(failed("full", "diverged", "no", seed=s) for s in (2, 3, 4))]
    text = render([*records, *scored("lora", [0.40, 0.41, 0.39, 0.40, 0.40])])["leaderboard.md"]
    assert "Highest ROUGE-L: full, 0.505. 2 of 5 seeds ended ok." in text
    assert "| 2 of 5 |" in text


def test_what_is_not_significantly_different_from_the_base_is_said_to_be_so(scored, make):
    base = make("base", metrics={"rougeL": 0.2}, scores=scored("base", [0.2])[0].scores)
    text = render([base, *scored("lora", [0.15, 0.25, 0.26])])["leaderboard.md"]
    assert "(+0.020 over the base, not significantly different from it: p = " in text
    assert (
        "not significantly different from it"
        not in render([base, *scored("lora", [0.40, 0.41, 0.39])])["leaderboard.md"]
    )


def test_a_row_below_the_base_is_never_printed_as_a_winner(scored, make):
    base = make("base", metrics={"rougeL": 0.5}, scores=scored("base", [0.5])[0].scores)
    text = render([base, *scored("lora", [0.40, 0.41, 0.39])])["leaderboard.md"]
    assert "**lora**" not in text
    assert "**lora**" in render(scored("lora", [0.40, 0.41, 0.39]))["leaderboard.md"]


def test_with_one_seed_the_p_value_is_that_of_the_verdict(scored):
    records = [*scored("full", [0.5]), *scored("lora", [0.4]), *scored("prefix", [0.3])]
    text = render(records)["leaderboard.md"]
    assert "significantly different, by 0.100 ROUGE-L" in text
    assert "p-values, of a randomisation test over examples, count all 3 pairs" in text
    for row in csv.DictReader(io.StringIO(render(records)["differences.csv"])):
        assert row["models_told_apart"] == str(float(row["p_examples_holm"]) < 0.05)
        assert f"p = {float(row['p_examples_holm']):.2g}" in text or float(row["p_examples_holm"]) < 0.001
    assert "95% interval (examples)" in text
    assert "ranks are of these trained models, not of the methods" in text


def test_a_row_with_one_seed_takes_nothing_from_what_is_known_of_the_others(scored):
    five = [*scored("full", [0.500, 0.502, 0.498, 0.501, 0.499]), *scored("lora", [0.400, 0.402, 0.398, 0.401, 0.399])]
    text = render([*five, *scored("prefix", [0.3])])["leaderboard.md"]
    assert "Significantly different from it: lora. Not compared, because they have fewer than two seeds" in text
    assert "in common: prefix. (5 seeds" in text
    assert text.count("] (examples)") == 1


def test_rows_without_a_common_seed_share_a_rank_and_the_reason_is_given(scored):
    early, late = scored("lora", [0.5, 0.51, 0.49]), scored("full", [0, 0, 0, 0.40, 0.41, 0.39])[3:]
    assert ranks([*early, *late]) == {"lora": 1, "full": 1}
    assert "It has no seed in common with the others" in render([*early, *late])["leaderboard.md"]


def test_intervals_end_where_a_metric_does(scored):
    records = scored("lora", [0.01, 0.9, 0.95])
    text = render([*records, *scored("full", [0.4, 0.4, 0.4])])["leaderboard.md"]
    assert "[0.000, 1.000]" in text
    assert "| 0.000 to 1.000 |" in text


def test_many_rows_that_do_not_differ_over_two_seeds_are_not_all_winners(scored):
    records = [r for n in range(12) for r in scored(f"lora[r={n}]", [0.4 - 0.01 * n, 0.41 - 0.012 * n])]
    text = render(records)["leaderboard.md"]
    assert "lora[r=7], and 4 more. (2 seeds" in text
    assert "With two seeds hardly any difference is significant; three or more are needed." in text
    assert text.count("| **lora") == 1
    three = render([*scored("full", [0.5, 0.51, 0.49]), *scored("lora", [0.4, 0.41, 0.39])])["leaderboard.md"]
    assert "three or more are needed" not in three


def test_more_rows_than_a_matrix_has_room_for_are_said_to_stand_in_the_file(scored):
    records = [record for number in range(13) for record in scored(f"lora[r={number}]", [0.4, 0.41])]
    text = render(records)["leaderboard.md"]
    assert "The matrix of probabilities of improvement is too wide" in text
    assert len(render(records)["differences.csv"].splitlines()) == 1 + 78


def test_of_rows_that_cannot_be_compared_no_interval_and_no_difference_is_given(scored):
    other = [type(r)(**{**vars(r), "budget": {"unit": "steps", "amount": 99.0}}) for r in scored("lora", [0.4, 0.41])]
    files = render([*scored("full", [0.50, 0.51]), *other], allow_mixed=True)
    assert "### Are the differences real?" not in files["leaderboard.md"]
    assert "significantly" not in files["leaderboard.md"].lower()
    assert len(files["differences.csv"].splitlines()) == 1
    assert not [
        row["rougeL_low"] for row in csv.DictReader(io.StringIO(files["leaderboard.csv"])) if "rougeL_low" in row
    ]

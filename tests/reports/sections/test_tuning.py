"""What a report says of searches: their time, and that one row never holds two settings."""

from __future__ import annotations

import csv
import io

import pytest

from reports.leaderboard import render


@pytest.fixture
def tuned(make):
    """A function that makes the record of a variant whose learning rate a search has chosen."""

    def tuned(chosen, seed=0, tries=2, method="lora"):
        told = {"tries": tries, "failed": 0, "space": {"learning_rate": "1e-4 to 1e-2 (log)"}, "score": 0.41,
                "chosen": {"learning_rate": chosen}, "score_as_it_stands": 0.4, "edge": []}  # fmt: skip
        return make(
            f"{method}[learning_rate=tuned]", seed=seed, trial_id=f"{method}-{chosen}-{seed}", details={"tuning": told},
            settings={"learning_rate": chosen, "r": 8}, metrics={"total_seconds": 70.0, "rougeL": 0.4 + chosen},
        )  # fmt: skip

    return tuned


@pytest.fixture
def tried(make):
    """A function that makes the record of a try, of so many seconds."""

    def tried(rate, seconds, method="lora", **settings):
        return make(
            f"{method}[learning_rate={rate}]", trial_id=f"try-{method}-{rate}-{settings}", split="validation",
            settings={"learning_rate": rate, "r": 8, **settings}, metrics={"total_seconds": seconds},
        )  # fmt: skip

    return tried


def test_two_settings_that_searches_chose_are_two_rows(tuned):
    records = [tuned(0.00373), tuned(0.00373, seed=1), tuned(0.000249, seed=2, tries=3)]
    rows = list(csv.DictReader(io.StringIO(render(records)["leaderboard.csv"])))
    assert {row["variant"]: row["seeds"] for row in rows} == {
        "lora[learning_rate=tuned] (learning_rate=0.00373)": "2",
        "lora[learning_rate=tuned] (learning_rate=0.000249)": "1",
    }
    assert "did not try equally many settings" in render(records)["leaderboard.md"]


def test_one_setting_is_one_row(tuned):
    rows = list(csv.DictReader(io.StringIO(render([tuned(0.001), tuned(0.001, seed=1)])["leaderboard.csv"])))
    assert [(row["variant"], row["seeds"]) for row in rows] == [("lora[learning_rate=tuned]", "2")]


def test_the_time_of_a_search_is_that_of_its_own_tries(tuned, tried):
    own = [tried(0.001, 60.0), tried(0.01, 30.0)]
    others = [tried(0.001, 7.0, r=64), tried(0.001, 9.0, method="full")]
    text = render([tuned(0.001), *own, *others])["leaderboard.md"]
    line = next(line for line in text.partition("### Tuning")[2].splitlines() if "tuned]" in line)
    assert line.rstrip(" |").endswith(" 1 min 30 s")
    assert "- Time: 2 min 56 s in 5 trials, 1 min 46 s of it in searches" in text

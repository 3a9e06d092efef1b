"""What follows from a table is worked out once, however many sections show it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from reports import leaderboard
from reports.analysis import standing
from reports.analysis.standing import Standing
from reports.records.store import RunStore


@pytest.fixture
def records(make):
    def scored(variant, mean, seed):
        dice = random.Random(f"{variant}/{seed}")
        scores = tuple(mean + dice.uniform(-0.2, 0.2) for _ in range(30))
        metrics = {"rougeL": sum(scores) / len(scores), "train_seconds": 60.0 + dice.random()}
        return make(variant, seed=seed, metrics=metrics, scores={"rougeL": scores})

    means = {"base": 0.2, "full": 0.5, "lora": 0.45, "prefix": 0.3}
    return [scored(name, mean, seed) for name, mean in means.items() for seed in range(1 if name == "base" else 2)]


@pytest.fixture
def calls(monkeypatch):
    """Of functions that should be called once for each of their first arguments: (name, argument) → calls."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(place, name, tell):
        real = getattr(place, name)

        def counted(*arguments, **keywords):
            counts[name, tell(*arguments)] += 1
            return real(*arguments, **keywords)

        monkeypatch.setattr(place, name, counted)

    count(standing, "compare_rows", lambda rows, *_: "all pairs")
    count(standing, "rank_rows", lambda names, above: "all rows")
    count(standing, "compute_intervals", lambda rows, resampler: str([row.mean() for row in rows]))
    count(Standing, "_compute_interval", lambda self, row, metric: f"{row.variant} {metric}")
    count(leaderboard, "read_records", str)
    return counts


def test_a_leaderboard_and_its_summary_are_worked_out_once(records, calls, tmp_path):
    store = RunStore(tmp_path)
    for record in records:
        store.add(record)
    written = leaderboard.write([tmp_path], tmp_path / "out")
    assert written.summary.startswith("tiny on file: ")
    assert {name for name, _ in calls} == {
        "compare_rows", "rank_rows", "compute_intervals", "_compute_interval", "read_records"
    }  # fmt: skip
    assert {call: number for call, number in calls.items() if number > 1} == {}


def test_an_interval_is_the_same_object_for_every_section(records):
    (found,) = leaderboard.compare(records)
    row = next(place.row for place in found.places if place.row.variant == "lora")
    assert found.interval(row, "rougeL") is found.interval(row, "rougeL")
    assert found.interval(row, "no such metric") is None


def test_a_difference_reads_the_same_in_both_directions(records):
    (found,) = leaderboard.compare(records)
    there, back = found.difference("full", "lora"), found.difference("lora", "full")
    assert there.interval.mean == -back.interval.mean
    assert there.interval.low == -back.interval.high
    assert there.p_holm == back.p_holm
    assert found.difference("full", "nobody") is None


def test_a_row_is_compared_with_its_base(records):
    (found,) = leaderboard.compare(records)
    lora = next(row for row in found.table.rows if row.variant == "lora")
    assert found.difference_from_base(lora) == found.difference("lora", "base")
    assert found.gain(lora) == pytest.approx(found.difference_from_base(lora).interval.mean)
    without = Standing(type(found.table)(key=found.table.key, base=None, rows=found.table.rows))
    assert (without.difference_from_base(lora), without.gain(lora)) == (None, None)

"""Which records share a table, what a row's numbers are, and who ranks where; worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest

from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables, find_differing_fields, flatten, keep_latest_records


def ranks(table):
    return [(place.row.variant, place.rank) for place in Standing(table).places]


def test_a_row_is_the_mean_over_its_ok_seeds(make, failed):
    records = [
        make("lora", seed=0, metrics={"rougeL": 0.40, "train_seconds": 10.0}),
        make("lora", seed=1, metrics={"rougeL": 0.46, "train_seconds": None}),
        failed("lora", "oom", "out of memory", seed=2),
    ]
    (table,) = build_tables(records)
    (row,) = table.rows
    assert row.mean("rougeL") == pytest.approx(0.43)
    assert row.deviation("rougeL") == pytest.approx(0.06 / 2**0.5)
    assert row.mean("train_seconds") == 10
    assert row.deviation("train_seconds") is None
    assert row.mean("cost") is None
    assert [record.seed for record in row.failed] == [2]
    assert table.seeds == (0, 1, 2)


def test_ranks_gains_and_ties(make, failed):
    records = [
        make("base", metrics={"rougeL": 0.1}),
        make("lora", metrics={"rougeL": 0.50001}),
        make("full", metrics={"rougeL": 0.50002}),
        make("prefix", metrics={"rougeL": 0.3}),
        make("toy", role="fake", metrics={"rougeL": 0.9}),
        failed("qlora", "error", "no"),
    ]
    (table,) = build_tables(records)
    assert ranks(table) == [("base", None), ("full", 1), ("lora", 1), ("prefix", 3), ("toy", None), ("qlora", None)]
    gains = {place.row.variant: place.gain for place in Standing(table).places}
    assert gains["prefix"] == pytest.approx(0.2)
    assert gains["base"] is None
    assert gains["qlora"] is None
    assert [name for name, rank in ranks(table) if rank == 1] == ["full", "lora"]


def test_without_a_base_there_is_no_gain(make):
    (table,) = build_tables([make("lora")])
    assert Standing(table).places[0].gain is None


@pytest.mark.parametrize(
    "changed",
    [
        {"budget": {"unit": "steps", "amount": 51.0}},
        {"decoding": {"max_new_tokens": 32, "num_beams": 1, "do_sample": False, "batch_size": 32}},
        {"training": {"batch_size": 4, "accumulation": 1, "input_tokens": 256, "target_tokens": 64}},
        {"model": {"revision": "other"}},
        {"model": {"dtype": "bfloat16"}},
        {"task": {"fingerprint": "e" * 64}},
        {"environment": {"versions": {"python": "3.12.0", "torch": "2.13.0"}}},
        {"environment": {"hardware": {"cpu": "Another CPU"}}},
    ],
)
def test_what_cannot_be_compared_stands_in_tables_of_its_own(make, changed):
    first = make("lora")
    for name, value in changed.items():
        old = getattr(first, name)
        new = dataclasses.replace(old, **value) if dataclasses.is_dataclass(old) else value
        second = dataclasses.replace(make("full"), **{name: new})
    assert len(build_tables([first, make("full")])) == 1
    assert len(build_tables([first, second])) == 2


def test_steps_done_and_code_do_not_part_records(make):
    first, second = make("lora"), make("full")
    second = dataclasses.replace(
        second,
        training={**second.training, "steps": 49, "tokens": 1},
        environment=dataclasses.replace(second.environment, code={"hash": "other"}),
    )
    assert len(build_tables([first, second])) == 1


def test_one_base_serves_every_budget(make):
    records = [make("base"), make("lora"), make("lora", trial_id="1" * 16, budget={"unit": "steps", "amount": 99.0})]
    made = build_tables(records)
    assert len(made) == 2
    assert all(table.base is not None for table in made)


def test_a_base_alone_is_a_table(make):
    (table,) = build_tables([make("base")])
    assert ranks(table) == [("base", None)]


def test_the_order_of_records_does_not_matter(make):
    records = [make(name, seed=seed) for name in ("base", "lora", "full") for seed in (0, 1)]
    assert build_tables(records) == build_tables(records[::-1])


def test_of_two_records_of_a_trial_the_ok_and_then_the_latest_counts(make, failed):
    identity = "a" * 16
    old = make("lora", trial_id=identity, finished_at="2026-01-01T00:00:00+00:00")
    new = make("lora", trial_id=identity, finished_at="2026-01-02T00:00:00+00:00")
    broken = failed("lora", "error", "no", trial_id=identity, finished_at="2026-01-03T00:00:00+00:00")
    assert (
        keep_latest_records([new, old])
        == keep_latest_records([old, new])
        == keep_latest_records([broken, old, new])
        == [new]
    )


def test_equal_endings_are_settled_by_content_not_by_order(make):
    first = make("lora", trial_id="a" * 16, metrics={"rougeL": 0.1})
    second = make("lora", trial_id="a" * 16, metrics={"rougeL": 0.2})
    assert keep_latest_records([first, second]) == keep_latest_records([second, first])


def test_a_seed_counts_once_and_what_is_left_out_is_counted(make):
    old = make("lora", trial_id="b" * 16, finished_at="2026-01-01T00:00:00+00:00", metrics={"rougeL": 0.1})
    new = make("lora", trial_id="a" * 16, finished_at="2026-01-02T00:00:00+00:00", metrics={"rougeL": 0.3})
    other_seed = make("lora", seed=1, metrics={"rougeL": 0.5})
    bases = [make("base"), make("base", trial_id="c" * 16)]
    (table,) = build_tables([old, new, other_seed, *bases])
    assert table.rows[0].mean("rougeL") == pytest.approx(0.4)
    assert table.superseded == 2


def test_a_result_without_the_primary_metric_is_not_ranked(make):
    (table,) = build_tables([make("lora", metrics={"rougeL": None}), make("full")])
    assert ranks(table) == [("full", 1), ("lora", None)]


def test_a_failed_base_leaves_scores_without_gains(make, failed):
    (table,) = build_tables([failed("base", "oom", "out of memory"), make("lora")])
    assert ranks(table) == [("base", None), ("lora", 1)]
    assert [place.gain for place in Standing(table).places] == [None, None]


def test_differences_are_named_by_their_fields():
    keys = [{"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"x": 1, "y": 3}, "b": [1], "c": 0}]
    assert find_differing_fields(keys) == ["a.y", "c"]
    assert flatten(keys[0]) == {"a.x": 1, "a.y": 2, "b": [1]}


def test_what_was_given_another_reward_or_other_pairs_has_a_row_of_its_own(make):
    learned = {"reward": {"name": "reward model"}, "preferences": {"derived": True}}
    given = {"reward": {"name": "rouge", "revision": None}}
    pairs = {"preferences": {"source": {"name": "mine.jsonl", "fingerprint": "abcdef0123456789"}}}
    records = [
        make("rlhf", details=learned),
        make("rlhf", seed=1),  # failed before it told anything: the same row
        make("rlhf", trial_id="1" * 16, details=given),
        make("rlhf", trial_id="2" * 16, details=pairs),
        make("lora"),
    ]
    (table,) = build_tables(records)
    assert [row.variant for row in table.rows] == [
        "lora",
        "rlhf (derived pairs)",
        "rlhf (pairs mine.jsonl abcdef01)",
        "rlhf (reward rouge)",
    ]
    assert len(table.rows[1].records) == 2
    (table,) = build_tables(records[2:3])
    assert [row.variant for row in table.rows] == ["rlhf"]

"""Tables that cannot be compared, shown together: every row is marked, and the warning comes first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports.analysis import mixed
from reports.analysis.standing import Standing
from reports.analysis.tables import build_comparison_key, build_tables
from reports.leaderboard import render
from reports.records.store import RunStore

ROOT = Path(__file__).resolve().parents[3]
STEPS = {"unit": "steps", "amount": 100.0}


def other(record, number=1, **parts):
    """The record with fields of its parts replaced, and an id of its own."""
    held = {
        name: {**old, **value} if isinstance(old := getattr(record, name), dict) else dataclasses.replace(old, **value)
        for name, value in parts.items()
    }
    return dataclasses.replace(record, trial_id=f"{number:016x}", **held)


def torch(record, version, number=1):
    return other(record, number, environment={"versions": {**record.environment.versions, "torch": version}})


def gains(table):
    return {p.row.variant: (p.rank, None if p.gain is None else round(p.gain, 6)) for p in Standing(table).places}


def test_one_base_serves_every_budget_and_each_row_names_its_own(make):
    longer = other(make("lora", metrics={"rougeL": 0.5}), budget=STEPS)
    (table,) = mixed.merge_tables(
        build_tables([make("base", metrics={"rougeL": 0.1}), make("lora"), make("full"), longer])
    )
    assert gains(table) == {
        "base": (None, None), "lora (steps=100)": (1, 0.4), "full (steps=50)": (2, 0.3), "lora (steps=50)": (2, 0.3),
    }  # fmt: skip
    assert table.base.variant == "base"


def test_each_row_is_measured_by_its_own_base(make):
    records = [make("base", metrics={"rougeL": 0.1}), make("lora"), torch(make("base", metrics={"rougeL": 0.3}), "3"),
               torch(make("lora"), "3", 2)]  # fmt: skip
    (table,) = mixed.merge_tables(build_tables(records))
    assert table.base is None
    assert gains(table) == {
        "base (torch 2.13.0)": (None, None), "base (torch 3)": (None, None),
        "lora (torch 2.13.0)": (1, 0.3), "lora (torch 3)": (1, 0.1),
    }  # fmt: skip
    text = render(records, allow_mixed=True)["leaderboard.md"]
    assert "There is no result of the base model" not in text


def test_a_base_that_only_some_have_is_not_lent_to_the_others(make):
    records = [make("base", metrics={"rougeL": 0.1}), make("lora"), torch(make("lora"), "3")]
    (table,) = mixed.merge_tables(build_tables(records))
    assert gains(table) == {
        "base (torch 2.13.0)": (None, None), "lora (torch 2.13.0)": (1, 0.3), "lora (torch 3)": (1, None),
    }  # fmt: skip


def test_the_warning_comes_first_and_names_what_differs(make):
    records = [make("base"), make("lora"), other(make("full"), budget=STEPS)]
    files = render(records, allow_mixed=True)
    text = files["leaderboard.md"]
    warning = "These rows cannot be compared (--allow-mixed): they differ in budget.amount."
    assert f"## tiny on file\n\n{warning} " in text
    assert text.count("## tiny on file") == 1
    assert f'<p class="answer">{warning}' in files["leaderboard.html"]
    assert "100 steps, batch 8 · 50 steps, batch 8" in text
    assert "the same for every method" not in text
    assert "full (steps=100)" in files["leaderboard.csv"]


def test_without_the_flag_or_a_difference_nothing_changes(make):
    apart = [make("base"), make("lora"), other(make("full"), budget=STEPS)]
    assert "cannot be compared" not in render(apart)["leaderboard.md"]
    assert "## 2. tiny on file" in render(apart)["leaderboard.md"]
    alike = [make("base"), make("lora"), make("full")]
    assert render(alike, allow_mixed=True) == render(alike)


def test_the_order_of_records_changes_nothing(make):
    records = [make("base"), make("lora"), other(make("full"), budget=STEPS), torch(make("full"), "3", 2)]
    assert render(records, allow_mixed=True) == render(records[::-1], allow_mixed=True)


@pytest.mark.parametrize(
    ("parts", "marks"),
    [
        ({"budget": STEPS}, ["steps=50", "steps=100"]),
        ({"budget": {"unit": "minutes", "amount": 2.5}}, ["steps=50", "minutes=2.5"]),
        ({"model": {"name": "big", "revision": "ffff"}}, ["tiny", "big"]),
        ({"model": {"revision": "fedcba9876543210"}}, ["revision 01234567", "revision fedcba98"]),
        ({"model": {"dtype": None}}, ["float32", "no dtype"]),
        ({"task": {"fingerprint": "e" * 64}}, ["data ffffffff", "data eeeeeeee"]),
        ({"decoding": {"max_new_tokens": 9}}, ["max_new_tokens=64", "max_new_tokens=9"]),
        ({"training": {"batch_size": 4, "accumulation": 2}}, ["batch_size=8", "batch_size=4"]),
        ({"environment": {"versions": {"python": "3.12.1", "torch": "3"}}}, ["torch 2.13.0", "torch 3"]),
        (
            {"environment": {"hardware": {"devices": [{"name": "GPU", "bytes": 16 << 30}]}}},
            ["no accelerator", "GPU 16.0 GiB"],
        ),
    ],
)
def test_marks_are_short(make, parts, marks):
    keys = [build_comparison_key(make("lora")), build_comparison_key(other(make("full"), **parts))]
    assert mixed.build_marks(keys) == marks


def test_marks_of_several_parts_stand_side_by_side_and_are_never_alike():
    keys = [
        {"budget": {"unit": "steps", "amount": 5.0}, "versions": {"torch": "2", "trl": "1"}},
        {"budget": {"unit": "steps", "amount": 9.0}, "versions": {"torch": "2", "trl": None}},
    ]
    assert mixed.build_marks(keys) == ["steps=5, trl 1", "steps=9, no trl"]
    alike = [{"hardware": {"memory_bytes": (16 << 30) + n}} for n in (0, 1, 0)]
    assert mixed.build_marks(alike) == ["16.0 GiB memory", "16.0 GiB memory #2", "16.0 GiB memory"]
    assert mixed.build_marks([keys[0]]) == [""]


def test_the_command_shows_them_together(run_here, make, tmp_path):
    store = RunStore(tmp_path)
    for record in (make("base"), make("lora"), other(make("full"), budget=STEPS)):
        store.add(record)
    assert run_here("report", tmp_path, "--allow-mixed", cwd=tmp_path).returncode == 0
    assert "full (steps=100)" in (tmp_path / "leaderboard.md").read_text("utf-8")
    assert run_here("report", tmp_path, cwd=tmp_path).returncode == 0
    assert "full (steps=100)" not in (tmp_path / "leaderboard.md").read_text("utf-8")

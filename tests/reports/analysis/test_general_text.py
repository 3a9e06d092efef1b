"""The column of forgetting: there with an interval where all is measured on one text, and never on several."""

from __future__ import annotations

import csv
import io

import pytest

from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables
from reports.leaderboard import render
from reports.records.metrics import METRICS


@pytest.fixture
def measured(make):
    """A function that makes a record that was measured on a text of this fingerprint."""

    def measured(variant, fingerprint, value=0.25, name="embedded", **fields):
        scores = {"forgetting": (value - 0.125, value + 0.125) * 100}
        metrics = {"general_loss": 3.0 + value, "general_loss_before": 3.0, "forgetting": value}
        if variant == "base":
            scores, metrics = {}, {"general_loss": 3.0}
        text = {"name": name, "fingerprint": fingerprint * 64, "passages": 200}
        return make(variant, metrics=metrics, scores=scores, details={"general_text": text}, **fields)

    return measured


def test_directions():
    named = {name: METRICS[name].direction for name in ("general_loss", "general_loss_before", "forgetting")}
    assert named == {"general_loss": "lower", "general_loss_before": None, "forgetting": "lower"}


def test_one_text_makes_a_column_with_intervals(measured):
    records = [measured("base", "a"), measured("full", "a", 0.5), measured("lora", "a", -0.25)]
    files = render(records)
    page = files["leaderboard.md"]
    header, _, *rows = [line for line in page.splitlines() if line.startswith("|")][:5]
    column = header.split("|").index(next(cell for cell in header.split("|") if cell.strip() == "forgetting"))
    assert {row.split("|")[2].strip(" *"): row.split("|")[column].strip() for row in rows} == {
        "base": "",
        "full": "0.500",
        "lora": "-0.250",
    }
    assert "200 passages of embedded, fingerprint aaaaaaaaaaaa" in page
    (table,) = build_tables(records)
    found = Standing(table).resampled_intervals("forgetting")["full"]
    assert found.mean == 0.5
    half = 1.96 * 0.125 / 200**0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.002)
    full = next(row for row in csv.DictReader(io.StringIO(files["leaderboard.csv"])) if row["variant"] == "full")
    assert (full["forgetting"], float(full["forgetting_low"])) == ("0.5", found.low)


@pytest.mark.parametrize("other", ["lora", "full", "base"])
def test_several_texts_make_none_and_the_report_says_why(measured, other):
    """Another row, another seed of the same row, another base."""
    records = [measured("full", "a"), measured(other, "b", name="mine.txt", seed=1 if other == "full" else 0)]
    files = render(records)
    page = files["leaderboard.md"]
    assert "| forgetting |" not in page
    why = "200 passages of embedded, fingerprint aaaaaaaaaaaa; 200 passages of mine.txt, fingerprint bbbbbbbbbbbb"
    assert f"forgetting (measured, but on different texts: {why})" in page
    for row in csv.DictReader(io.StringIO(files["leaderboard.csv"])):
        assert (row["forgetting"], row["general_loss"]) == ("", "")
    # What was measured is not lost: every record has its line, with the text.
    lines = list(csv.DictReader(io.StringIO(files["records.csv"])))
    assert {line["details.general_text.name"]: line["metrics.general_loss"] for line in lines} == {
        "embedded": "3.25",
        "mine.txt": "3.0" if other == "base" else "3.25",
    }


def test_several_texts_make_no_column_of_mixed_rows_either(measured):
    longer = measured("lora", "b", name="mine.txt", budget={"unit": "steps", "amount": 99.0})
    page = render([measured("full", "a"), longer], allow_mixed=True)["leaderboard.md"]
    assert "| forgetting |" not in page
    assert "forgetting (measured, but on different texts" in page


def test_records_without_any_text_stand_beside_those_with_one(measured, make):
    page = render([measured("full", "a"), make("lora")])["leaderboard.md"]
    assert "| forgetting |" in page
    assert "different texts" not in page


def test_a_failed_trial_has_measured_nothing(measured):
    failed = measured("lora", "b", status="error", message="it broke")
    page = render([measured("full", "a"), failed])["leaderboard.md"]
    assert "| forgetting |" in page

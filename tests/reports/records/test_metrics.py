"""Metrics that do not come with every run: their columns, what is said of them, and the lines on outputs."""

from __future__ import annotations

import csv
import io

import pytest

from reports.leaderboard import render
from reports.records.metrics import METRICS, Metric, collect_metrics, find_contested_metrics

CHRF = Metric("chrf", "chrF", "score", "higher", "mean of sentence chrF")
SLIPS = Metric("slips", "slips", "tokens", "lower", "slips a text")


@pytest.fixture
def records(make):
    own = {"chrf": CHRF, "slips": SLIPS}
    return [
        make("base", metrics={"chrf": 0.25, "slips": 12.0}, declared=own),
        make("lora", metrics={"chrf": 0.5}, declared={"chrf": CHRF}),
        make("full"),
    ]


def cells(text: str, variant: str) -> dict[str, str]:
    """The ranking's row of a variant in a Markdown report."""
    table = [line for line in text.partition("### Ranking\n")[2].splitlines() if line.startswith("|")]
    header, *rows = ([cell.strip(" *") for cell in line.strip("|").split("|")] for line in table)
    return dict(zip(header, next(row for row in rows if row[1] == variant), strict=True))


def test_they_are_columns_after_rouge_in_their_own_unit(records):
    text = render(records)["leaderboard.md"]
    base, lora, full = (cells(text, variant) for variant in ("base", "lora", "full"))
    header = list(base)
    start = header.index("ROUGE-Lsum") + 1
    assert header[start : start + 3] == ["chrF", "slips", "gain in ROUGE-L"]
    assert [row["chrF"] for row in (base, lora, full)] == ["0.250", "0.500", ""]
    assert [row["slips"] for row in (base, lora, full)] == ["12.0", "", ""]
    assert "chrF: mean of sentence chrF." in text
    assert "slips: slips a text." in text


def test_a_column_sorts_its_better_way_first(records):
    html = render(records)["leaderboard.html"]
    assert '<button type="button" data-first="ascending">slips</button>' in html
    assert '<button type="button" data-first="descending">chrF</button>' in html


def test_they_are_in_both_csv_files_and_take_no_other_columns_place(records, make):
    odd = Metric("model", "model!", "score", None, "a number that is called as a column is")
    files = render([*records, make("prefix", metrics={"model": 0.125}, declared={"model": odd})])
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(files["leaderboard.csv"]))}
    assert (rows["base"]["chrf"], rows["full"]["chrf"], rows["base"]["slips"]) == ("0.25", "", "12.0")
    assert (rows["prefix"]["model"], rows["prefix"]["metrics.model"]) == ("tiny", "0.125")
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(files["records.csv"]))}
    assert (rows["lora"]["metrics.chrf"], rows["lora"]["declared.chrf.title"]) == ("0.5", "chrF")


def test_without_them_nothing_is_said_of_them(make):
    files = render([make("base"), make("lora")])
    assert "chrF" not in files["leaderboard.md"]
    assert "declared" not in files["records.csv"]


def test_what_is_known_begins_with_what_comes_along(records, make):
    other = Metric("rougeL", "mine", "score", "lower", "x")
    found = collect_metrics([*records, make("a", declared={"rougeL": other, "gain": other, "chrf": other})])
    assert list(found) == [*METRICS, "chrf", "slips"]
    assert (found["rougeL"], found["chrf"]) == (METRICS["rougeL"], CHRF)


def test_two_meanings_of_one_name_are_a_warning(make):
    other = Metric("chrf", "chrF", "score", "higher", "by another version")
    records = [
        make("lora", metrics={"chrf": 0.5}, declared={"chrf": told}, seed=n) for n, told in enumerate((CHRF, other))
    ]
    assert find_contested_metrics(records) == ["chrf"]
    assert find_contested_metrics(records[:1]) == []
    assert "Not all records mean the same by chrf: " in render(records)["leaderboard.md"]


def test_how_outputs_look(make):
    looks = {
        "mean_generated_tokens": 31.25,
        "empty_outputs_percent": 0.0,
        "unfinished_outputs_percent": 12.5,
        "repeated_outputs_percent": 4.0,
    }
    nothing = dict.fromkeys(looks)
    records = [
        make("base", metrics=looks),
        make("lora", metrics={**looks, "repeated_outputs_percent": 1.0}, seed=0),
        make("lora", metrics={**looks, "repeated_outputs_percent": 2.0}, seed=1),
        make("full", metrics=nothing),
    ]
    files = render(records)
    part = files["leaderboard.md"].partition("### Outputs\n")[2].partition("###")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    assert rows[0] == ["method", "output length", "empty outputs (%)", "truncated outputs (%)", "repeated outputs (%)"]
    assert rows[2:] == [["base", "31.2", "0", "12.5", "4.00"], ["lora", "31.2", "0", "12.5", "1.50"]]
    assert "repeated ones repeat a three-word sequence at least three times" in part
    assert "<h3>Outputs</h3>" in files["leaderboard.html"]
    assert "Outputs" not in render([make("full", metrics=nothing)])["leaderboard.md"]

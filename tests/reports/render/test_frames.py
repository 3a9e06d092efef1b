"""Data frames of a leaderboard, and their CSV, which has to be safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from reports.leaderboard import compare
from reports.render import frames
from reports.render.csv import render_csv


@pytest.fixture
def records(make, failed):
    return [
        make("base", metrics={"rougeL": 0.1}),
        *(make("lora", seed=seed, metrics={"rougeL": 0.4 + seed / 100}) for seed in (0, 1)),
        failed("=cmd", "oom", "no room"),
    ]


def test_numbers_are_numbers_and_may_be_missing(records):
    frame = frames.build_leaderboard_frame(compare(records)).set_index("variant")
    kinds = {"rank": "Int64", "seeds": "Int64", "rougeL": "Float64", "gain_rougeL": "Float64", "method": "object"}
    assert {name: str(frame.dtypes[name]) for name in kinds} == kinds
    assert frame.loc["lora", "rougeL"] == pytest.approx(0.405)
    assert frame.loc["lora", "gain_rougeL"] == pytest.approx(0.305)
    assert pd.isna(frame.loc["base", "rank"])
    assert pd.isna(frame.loc["=cmd", "rougeL"])  # as it is; only its CSV has a sign before it
    assert float(frame["rougeL"].max()) == pytest.approx(0.405)


def test_records_have_a_line_each(records):
    frame = frames.build_records_frame(records)
    assert list(frame["status"]) == ["ok", "ok", "ok", "oom"]
    assert str(frame.dtypes["environment.code.dirty"]) == "boolean"
    assert frame["settings.r"].isna().tolist() == [True, False, False, False]


def test_without_pairs_there_is_a_head(records):
    frame = frames.build_differences_frame(compare(records))
    assert render_csv(frame) == ",".join(frames.DIFFERENCES) + "\n"


def test_whole_numbers_stay_whole_and_texts_are_safe():
    rows = [
        {"whole": 8, "huge": 10**30, "mixed": 1, "text": "=1+1", "list": ["a", 1], "\ud800": "\ud800", "flag": True},
        {"whole": None, "huge": 1, "mixed": 0.5, "text": "two\r\nlines", "list": None, "flag": None},
    ]
    text = render_csv(frames._build_frame(rows))
    head, first, second = csv.reader(io.StringIO(text))
    assert head == ["whole", "huge", "mixed", "text", "list", "\ud800", "flag"]
    assert first == ["8", str(10**30), "1", "'=1+1", '["a", 1]', "\ud800", "True"]
    assert second == ["", "1", "0.5", "two\nlines", "", "", ""]

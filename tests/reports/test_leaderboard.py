"""Whole reports against golden files, and the properties that every report has."""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

from reports.errors import StoreError
from reports.leaderboard import render, write
from reports.metrics import METRICS
from reports.store import RunStore

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def records(make, failed):
    """Base, three variants with two seeds, one of which failed once, and names and messages that want to break out."""
    full = {"trainable_parameters": 1_955_520.0, "trainable_percent": 100.0, "shipped_bytes": 7_826_128.0}
    slow, fast = {"learning_rate": 1e-3, "warmup": 0.05}, {"learning_rate": 3e-3, "warmup": 0.05}
    untrained = {"trainable_parameters": 0.0, "trainable_percent": 0.0, "shipped_bytes": 0.0, "train_seconds": None}
    return [
        make("base", metrics={"rougeL": 0.1, **untrained, "train_tokens_per_second": None}),
        make("full", seed=0, metrics={"rougeL": 0.61, **full}, settings=slow),
        make("full", seed=1, metrics={"rougeL": 0.63, **full}, settings=slow),
        make("lora[r=4|16]", seed=0, metrics={"rougeL": 0.55}, settings={**fast, "r": 4}),
        failed("lora[r=4|16]", "error", "<script>alert('x')</script> | broke\nin two lines", seed=1,
               phase="train", step=7),
        make("=cmd", seed=0, metrics={"rougeL": 0.2}, settings={**fast, "r": 8}),
        failed("qlora", "unsupported", "qlora needs 4-bit kernels", seed=0, phase="start"),
        failed("prefix", "oom", "out of memory: an allocation failed", seed=0, phase="train", step=3),
    ]  # fmt: skip


def test_the_reports_are_the_golden_files(records, request):
    files = render(records, ["b.json: not valid JSON; the file is truncated or foreign"])
    for name, text in files.items():
        if request.config.getoption("--update-golden", default=False):
            (GOLDEN / name).write_text(text, encoding="utf-8", newline="")
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"{name} differs; --update-golden writes it anew"


def test_the_order_of_records_changes_nothing(records):
    wanted = render(records)
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert render(records) == wanted


def test_nothing_breaks_out_of_html_or_a_spreadsheet(records):
    files = render(records)
    assert "<script>alert" not in files["leaderboard.html"]
    assert "&lt;script&gt;alert" in files["leaderboard.html"]
    for name in ("leaderboard.csv", "records.csv"):
        cells = [cell for row in csv.reader(io.StringIO(files[name])) for cell in row]
        assert "'=cmd" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t"))]
    for line in files["leaderboard.md"].splitlines():
        if line.startswith("| ") and "script" in line:
            assert "\\<script>" in line
            assert "\\| broke in two lines" in line


def test_the_markdown_says_what_a_reader_must_know(records):
    text = render(records)["leaderboard.md"]
    for wanted in (
        "Highest ROUGE-L: full, 0.620 (+0.520 over the base).",
        "> A tiny model for tests.",
        "1.96 M parameters",
        "100 train, 10 validation, 20 test",
        "1 rows could not be used",
        "at most 0 of 400 in train, 3 of 20 in test",
        "50 steps, batch 8, the same for every method",
        "no accelerator",
        "torch 2.13.0",
        "out of memory: an allocation failed",
        "train, step 3",
    ):
        assert wanted in text, wanted


def test_one_seed_is_never_called_a_real_difference(make):
    text = render([make("lora"), make("full", metrics={"rougeL": 0.9})])["leaderboard.md"]
    assert "One seed cannot tell whether differences between methods are real." in text


def test_a_column_that_nobody_measured_is_named_and_left_out(make):
    text = render([make("lora", metrics={"cost": None})])["leaderboard.md"]
    header = next(line for line in text.splitlines() if line.startswith("| rank") or "| method" in line)
    assert "cost" not in header
    assert (
        "Not measured here: peak device (no accelerator), energy (no energy counter), cost (no --price-per-hour)"
        in text
    )


def test_a_gpu_has_its_column(make):
    text = render([make("lora", metrics={"peak_device_allocated_bytes": 3.0 * (1 << 30)})])["leaderboard.md"]
    assert "3.00 GiB" in text
    assert "no accelerator)" not in text


def test_different_code_is_told_and_many_cut_examples_too(make):
    other = make("full")
    other = dataclasses.replace(
        other,
        environment=dataclasses.replace(other.environment, code={"hash": "other"}),
        task=dataclasses.replace(other.task, cut={"train": 90, "test": 3}),
    )
    text = render([make("lora"), other])["leaderboard.md"]
    assert "made with different versions of the harness's own code" in text
    assert "full: 90 of 400 train examples were cut" in text


def test_tables_that_cannot_be_compared_say_why(make):
    other = make("full", budget={"unit": "minutes", "amount": 1.0})
    text = render([make("lora"), other])["leaderboard.md"]
    assert text.count("This table stands apart because these differ: budget.amount, budget.unit.") == 2


def test_the_csv_holds_raw_numbers(records):
    rows = list(csv.DictReader(io.StringIO(render(records)["leaderboard.csv"])))
    assert [row["variant"] for row in rows] == ["base", "full", "lora[r=4|16]", "'=cmd", "prefix", "qlora"]
    full = rows[1]
    assert float(full["rougeL"]) == pytest.approx(0.62)
    assert float(full["gain_rougeL"]) == pytest.approx(0.52)
    assert full["rank"] == "1"
    assert full["cost"] == ""
    assert set(METRICS) <= set(full)


def test_records_csv_has_a_line_a_trial_and_every_field(records):
    rows = list(csv.DictReader(io.StringIO(render(records)["records.csv"])))
    assert len(rows) == len(records)
    for wanted in ("trial_id", "settings.learning_rate", "metrics.rougeL", "environment.versions.torch",
                   "phases.train.seconds", "model.revision", "training.tokens", "message"):  # fmt: skip
        assert wanted in rows[0]


def test_reports_are_written_from_several_directories(records, tmp_path):
    for index, name in enumerate(("a", "b")):
        store = RunStore(tmp_path / name)
        for record in records[index::2]:
            store.add(record)
    paths = write([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert {path.name: path.read_text(encoding="utf-8") for path in paths} == render(records)


def test_a_directory_without_records_makes_no_report(tmp_path):
    with pytest.raises(StoreError):
        write([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reporting_imports_nothing_heavy():
    code = "import sys, reports.leaderboard; print({'torch', 'pandas', 'numpy', 'datasets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"

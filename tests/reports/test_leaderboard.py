"""Whole reports against golden files, and the properties that every report has."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reports.errors import StoreError
from reports.leaderboard import compare, render, write
from reports.records.metrics import LEARNING_CURVES, METRICS, PREFERENCE_LEARNING
from reports.records.store import RunStore
from reports.sections.page import build_sections

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
        make("=cmd", seed=1, metrics={"rougeL": 0.3}, settings={**fast, "r": 8}),
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
        "1 row could not be used",
        "at most 0 of 400 in train, 3 of 20 in test",
        "50 steps, batch 8, the same for every method",
        "no accelerator",
        "torch 2.13.0",
        "out of memory: an allocation failed",
        "train, step 3",
    ):
        assert wanted in text, wanted


def test_the_markdown_has_its_parts_in_order(records):
    text = render(records, ["b.json: damaged"])["leaderboard.md"]
    parts = ("# Fine", "## tiny", "Highest", "> A tiny", "### What was compared", "### Ranking", "Not measured here",
             "### What failed", "### Settings that differ", "### Warnings")  # fmt: skip
    found = [text.index(f"\n{part}" if part != parts[0] else part) for part in parts]
    assert found == sorted(found)
    assert "b.json: damaged" in text[found[-1] :]


def test_knobs_are_written_as_they_are_typed(make):
    made = [make("base"), *(make(f"bitfit[add={add}]", settings={"add": add == "true"}) for add in ("false", "true"))]
    (section,) = build_sections(compare(made))
    assert [row[:2] for row in section.settings.rows] == [(f"bitfit[add={add}]", add) for add in ("false", "true")]


def test_html_and_markdown_say_the_same(records):
    files = render(records)
    page = html.unescape(files["leaderboard.html"]).replace("ROUGE‑", "ROUGE-")
    for section in build_sections(compare(records)):
        texts = [section.heading, section.answer, *section.notes, *section.footnotes, *section.warnings]
        texts += [text for pair in section.facts for text in pair]
        for grid in (section.ranking, section.failures, section.settings):
            texts += [*grid.header, *(text for row in grid.rows for text in row)]
        assert [text for text in texts if text not in page] == []


def test_the_page_loads_nothing_and_sorts_by_raw_numbers(records):
    page = render(records)["leaderboard.html"]
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?:", page)
    assert 'data-value="7826128.0"' in page  # shipped, shown as 7.46 MiB
    assert re.search(r'data-first="ascending">held-out loss', page)
    assert re.search(r'data-first="descending">ROUGE‑L<', page)


def test_the_order_of_complaints_changes_nothing(records):
    assert render(records, ["a: x", "b: y"]) == render(records, ["b: y", "a: x", "b: y"])


def test_a_result_that_was_not_measured_is_a_row_without_a_rank(make):
    text = render([make("lora", metrics={"rougeL": None}), make("full")])["leaderboard.md"]
    assert re.search(r"\| not measured \| lora ", text)


def test_a_fake_is_shown_and_never_ranked(make):
    text = render([make("toy", role="fake", metrics={"rougeL": 0.99}), make("full")])["leaderboard.md"]
    assert re.search(r"\| not ranked \| toy ", text)
    assert "Highest ROUGE-L: full" in text


def test_rows_that_tie_are_all_named(make):
    text = render([make("lora"), make("full"), make("prefix", metrics={"rougeL": 0.1})])["leaderboard.md"]
    assert "Highest ROUGE-L: full and lora, 0.400." in text


def test_a_seed_that_only_failed_is_no_seed_of_a_mean(make, failed):
    records = [make("lora"), make("full"), failed("lora", "oom", "no", seed=1), failed("full", "oom", "no", seed=1)]
    assert "One seed cannot tell" in render(records)["leaderboard.md"]
    more = [make("lora"), make("lora", seed=1), make("full")]
    assert "Means over 1 to 2 seeds" in render(more)["leaderboard.md"]


def test_a_message_cannot_bring_a_link_or_an_image(failed):
    text = render([failed("lora", "error", "![see](https://example.org/x.png) `code`")])["leaderboard.md"]
    assert "![see]\\(https" in text
    assert "\\`code\\`" in text


def test_one_seed_is_never_called_a_real_difference(make):
    text = render([make("lora"), make("full", metrics={"rougeL": 0.9})])["leaderboard.md"]
    assert "One seed cannot tell whether differences between methods are real." in text


def test_a_column_that_nobody_measured_is_named_and_left_out(make):
    text = render([make("lora", metrics={"cost": None})])["leaderboard.md"]
    header = next(line for line in text.splitlines() if line.startswith("| rank") or "| method" in line)
    assert "cost" not in header
    assert "Not measured here: forgetting, peak device (no accelerator), energy (no energy counter), cost (" in text


def test_a_gpu_has_its_column(make):
    text = render([make("lora", metrics={"peak_device_allocated_bytes": 3.0 * (1 << 30)})])["leaderboard.md"]
    assert "3.00 GiB" in text
    assert "no accelerator)" not in text


def test_a_machine_with_a_gpu_is_not_said_to_have_none(make):
    record = make("lora")
    hardware = {**record.environment.hardware, "devices": [{"name": "Example GPU", "bytes": 16 << 30}]}
    record = dataclasses.replace(record, environment=dataclasses.replace(record.environment, hardware=hardware))
    text = render([record])["leaderboard.md"]
    assert "no accelerator" not in text
    assert "Example GPU 16.0 GiB" in text


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
    assert text.count("full, lora: 3 of 20 test examples were cut") == 1


def test_tables_that_cannot_be_compared_say_why(make):
    other = make("full", budget={"unit": "minutes", "amount": 1.0})
    text = render([make("lora"), other])["leaderboard.md"]
    assert text.count("This table is separate because these differ: budget.amount, budget.unit.") == 2
    other = make("full")
    other = dataclasses.replace(other, training={**other.training, "input_tokens": 128})
    text = render([make("lora"), other])["leaderboard.md"]
    assert text.count("because these differ: limits.input_tokens.") == 2


def test_the_csv_holds_raw_numbers(records):
    rows = list(csv.DictReader(io.StringIO(render(records)["leaderboard.csv"])))
    assert [row["variant"] for row in rows] == ["base", "full", "lora[r=4|16]", "'=cmd", "prefix", "qlora"]
    full = rows[1]
    assert float(full["rougeL"]) == pytest.approx(0.62)
    assert float(full["gain_rougeL"]) == pytest.approx(0.52)
    assert full["rank"] == "1"
    assert full["cost"] == ""
    assert set(METRICS) - LEARNING_CURVES - PREFERENCE_LEARNING <= set(full)


def test_records_csv_has_a_line_a_trial_and_every_field(records):
    rows = list(csv.DictReader(io.StringIO(render(records)["records.csv"])))
    assert len(rows) == len(records)
    for wanted in ("trial_id", "settings.learning_rate", "metrics.rougeL", "environment.versions.torch",
                   "phases.train.seconds", "model.revision", "training.tokens", "message"):  # fmt: skip
        assert wanted in rows[0]
    assert {row["curve"] for row in rows} == {"0", "1"}  # the number of points


def test_records_csv_has_what_the_tables_leave_out(make):
    files = render([make("lora"), make("lora", trial_id="1" * 16, finished_at="2026-02-01T00:00:00+00:00")])
    assert len(list(csv.DictReader(io.StringIO(files["records.csv"])))) == 2
    assert "Records left out, because others have the same method and seed: 1" in files["leaderboard.md"]


def test_reports_are_written_from_several_directories(records, tmp_path):
    for index, name in enumerate(("a", "b")):
        store = RunStore(tmp_path / name)
        for record in records[index::2]:
            store.add(record)
    paths = write([tmp_path / "a", tmp_path / "b"], tmp_path / "both").paths
    assert {path.name: path.read_text(encoding="utf-8") for path in paths} == render(records)


def test_a_directory_without_records_makes_no_report(tmp_path):
    with pytest.raises(StoreError):
        write([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reporting_imports_nothing_heavy():
    code = (
        "import sys, reports.leaderboard; print({'torch', 'pandas', 'numpy', 'datasets', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_where_no_method_beats_the_base_the_answer_says_so(make):
    text = render([make("base", metrics={"rougeL": 0.5}), make("lora"), make("full", metrics={"rougeL": 0.3})])
    assert (
        "No method beats the base in ROUGE-L; the highest is lora, 0.400 (-0.100 against the base)."
        in text["leaderboard.md"]
    )
    assert "over the base" not in text["leaderboard.md"]

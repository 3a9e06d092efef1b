"""The part on trade-offs: who is on the front, what it says of the others, and where the dots stand."""

from __future__ import annotations

import dataclasses
import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reports.analysis import pareto
from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables
from reports.leaderboard import render, write
from reports.records.metrics import METRICS
from reports.records.store import RunStore
from reports.sections import trade_offs
from reports.svg.scatter import Dot, Panel, Scatter, draw_scatter

ROOT = Path(__file__).resolve().parents[3]
SPACE = "{http://www.w3.org/2000/svg}"
MIB = 1 << 20


def of(records, *names):
    (table,) = build_tables(records)
    return trade_offs.build_chapter(
        Standing(table), pareto.choose_metrics(names, METRICS) if names else None, "trade-offs.svg"
    )


def verdicts(part):
    return {row[0]: row[-1] for row in part.grids[0][1].rows}


@pytest.fixture
def records(make, failed):
    return [
        make("base", metrics={"rougeL": 0.1, "train_seconds": None, "shipped_bytes": 0.0}),
        make("full", metrics={"rougeL": 0.6, "train_seconds": 60.0, "shipped_bytes": 8e6}),
        make("lora", metrics={"rougeL": 0.5, "train_seconds": 50.0, "shipped_bytes": 4e5}),
        make("prefix", metrics={"rougeL": 0.05, "train_seconds": 20.0, "shipped_bytes": 1e5}),
        make("qlora", metrics={"rougeL": 0.4, "train_seconds": 55.0, "shipped_bytes": 4e5}),
        make("dpo", metrics={"rougeL": 0.55, "train_seconds": None}),
        make("toy", role="fake", metrics={"rougeL": 0.99, "train_seconds": 1.0}),
        failed("rlhf", "oom", "out of memory"),
    ]


def test_every_row_is_judged(records):
    part = of(records)
    assert part.grids[0][1].header == (
        "method",
        "ROUGE-L",
        "peak tensors (CPU)",
        "train time",
        "size to ship",
        "trade-off",
    )
    assert verdicts(part) == {
        "base": "for comparison only",
        "full": "on the front",
        "lora": "on the front",
        "prefix": "on the front, though no better than the base",
        "qlora": "beaten by lora",
        "dpo": "not judged: no train time",
    }


def test_chosen_metrics_make_another_front(records):
    part = of(records, "rougeL", "train_seconds")
    assert part.grids[0][1].header == ("method", "ROUGE-L", "train time", "trade-off")
    assert [panel.x.name for panel in part.figures[0].plot.panels] == ["train_seconds"]
    assert verdicts(of(records, "rougeL", "peak_host_bytes"))["lora"] == "beaten by full, dpo"


def test_what_nobody_measured_is_left_out_and_named(records):
    part = of(records, "rougeL", "train_seconds", "cost")
    assert "cost" not in part.grids[0][1].header
    assert "Left out, because it was not measured: cost." in part.footnotes
    assert of(records, "rougeL", "cost") is None


def test_one_method_has_nothing_to_trade_with(make, failed):
    assert of([make("base"), make("lora"), failed("full", "oom", "no")]) is None
    assert of([make("base")]) is None
    assert "Trade-offs" not in render([make("lora")])["leaderboard.md"]


def test_the_reports_show_it_and_the_plot_lies_beside_them(records, tmp_path):
    store = RunStore(tmp_path)
    for record in records:
        store.add(record)
    write([tmp_path], tmp_path, traded=["rougeL", "train_seconds"])
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "### Trade-offs" in text
    assert "](trade-offs.svg)" in text
    assert "beaten by lora" in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    drawn = ET.parse(tmp_path / "trade-offs.svg").getroot()
    names = {"".join(element.itertext()) for element in drawn.iter(f"{SPACE}text")}
    assert {"full", "lora", "prefix", "qlora", "on the front", "beaten", "base"} <= names
    assert not {"toy", "dpo", "rlhf"} & names
    for record in records:
        if record.variant != "full":
            (tmp_path / "records" / f"{record.trial_id}.json").unlink()
    write([tmp_path], tmp_path)
    assert not (tmp_path / "trade-offs.svg").exists()


def test_dots_stand_where_the_axes_say_and_the_front_is_filled():
    dots = (Dot("a", 1.0 * MIB, 0.0, True), Dot("b", 2.0 * MIB, 1.0, False))
    plot = Scatter((Panel(METRICS["shipped_bytes"], METRICS["rougeL"], dots, 0.5),), "Two rows.")
    drawn = ET.fromstring(draw_scatter(plot, alone=True))
    panel = drawn.find(f"{SPACE}g")
    circles = [(c.get("class"), c.get("cx"), c.get("cy")) for c in panel.iter(f"{SPACE}circle")]
    assert circles == [("last", "66", "246"), ("first", "426", "36")]
    texts = ["".join(text.itertext()) for text in panel.iter(f"{SPACE}text")]
    assert "size to ship (MiB)" in texts
    assert texts[1:7] == ["1.0", "1.2", "1.4", "1.6", "1.8", "2.0"]
    lines = [path.get("d") for path in panel.iter(f"{SPACE}path") if path.get("stroke-dasharray")]
    assert lines == ["M66 141H426"]


def test_names_do_not_cover_each_other():
    dots = tuple(Dot(f"row {n}", 1.0, 0.5, True) for n in range(4))
    drawn = ET.fromstring(
        draw_scatter(Scatter((Panel(METRICS["cost"], METRICS["rougeL"], dots, None),), ""), alone=False)
    )
    ys = sorted(float(t.get("y")) for t in drawn.iter("text") if (t.text or "").startswith("row"))
    assert all(b - a >= 13 for a, b in itertools.pairwise(ys))


def shown(*dots):
    plot = Scatter((Panel(METRICS["cost"], METRICS["rougeL"], dots, None),), "")
    panel = ET.fromstring(draw_scatter(plot, alone=False)).find("g")
    names = {"".join(text.itertext()) for text in panel.iter("text")}
    return names, {title.text for title in panel.iter("title")}


def test_settings_that_all_rows_have_are_left_out_beside_the_dots_and_stand_under_the_pointer():
    dots = [Dot(f"{name}[learning_rate=tuned]", 1.0, 0.5, True) for name in ("full", "lora")]
    names, titles = shown(*dots)
    assert {"full", "lora"} <= names
    assert {"full[learning_rate=tuned]", "lora[learning_rate=tuned]"} <= titles
    assert {"lora[r=4]", "lora[r=8]"} <= shown(*(Dot(f"lora[r={r}]", 1.0, 0.5, True) for r in (4, 8)))[0]


def test_in_a_crowd_only_the_front_has_names_beside_it():
    names, titles = shown(*(Dot(f"row {n}", float(n), 0.5, n == 0) for n in range(13)))
    assert "row 0" in names
    assert "row 1" not in names
    assert {f"row {n}" for n in range(13)} <= titles


def test_a_hostile_name_breaks_out_of_nothing(make):
    evil = ["<script>alert(1)</script>", "a | b ](http://evil.test)", '" onload="x', "\x1b[31m‮"]
    files = render([make(name, metrics={"rougeL": 0.1 * n}) for n, name in enumerate(evil)])
    ET.fromstring(files["trade-offs.svg"])
    assert "<script>alert" not in files["leaderboard.html"] + files["trade-offs.svg"]
    assert "](http" not in files["leaderboard.md"]


@pytest.fixture
def harness(run_here, tmp_path):
    """Return a function that runs a command in this process."""
    return lambda *arguments: run_here(*arguments, cwd=tmp_path)


def test_the_command_takes_metrics_and_refuses_others(harness, records, tmp_path):
    store = RunStore(tmp_path)
    for record in records:
        store.add(record)
    done = harness("report", str(tmp_path), "--pareto", "rougeL, heldout_loss")
    assert done.returncode == 0, done.stderr
    assert "| method | ROUGE-L | held-out loss | trade-off" in (tmp_path / "leaderboard.md").read_text("utf-8")
    for given, sentence in (("rougeL,train_second", "did you mean train_seconds"), ("rougeL", "two or more")):
        done = harness("report", str(tmp_path), "--pareto", given)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_base_of_a_table_without_one_is_not_drawn(make):
    part = of([make("a"), dataclasses.replace(make("b"), metrics={**make("b").metrics, "rougeL": 0.5})])
    assert [panel.base for panel in part.figures[0].plot.panels] == [None, None, None]
    assert "base" not in verdicts(part)

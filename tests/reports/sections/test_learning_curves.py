"""The part of a report on learning curves: numbers worked out by hand, where the plot goes, and odd records."""

from __future__ import annotations

import html
import random
import xml.etree.ElementTree as ET

import pytest

from reports.leaderboard import compare, render, write
from reports.records.store import RunStore
from reports.sections.page import build_sections

SPACE = "{http://www.w3.org/2000/svg}"


def curve(*qualities, every=10, tokens=1000):
    return tuple(
        {"step": every * n, "tokens": tokens * n, "seconds": 2.0 * n, "loss": 1.0, "rougeL": quality}
        for n, quality in enumerate(qualities, start=1)
    )


@pytest.fixture
def curved(make):
    """A function that makes a record with a curve of these qualities."""

    def curved(variant, *qualities, target=None, reached=(None, None), examples=50, **fields):
        told = {"every": "steps=10", "examples": examples, "target_quality": target}
        aims = {"seconds_to_quality": reached[0], "tokens_to_quality": reached[1]} if target is not None else {}
        values = {"learning_curve": curve(*qualities), "details": {"learning_curve": told}, "metrics": aims}
        return make(variant, **{**values, **fields})

    return curved


@pytest.fixture
def records(make, curved):
    return [
        make("base", metrics={"rougeL": 0.1}),
        curved("full", 0.2, 0.5, 0.4, target=0.35, reached=(4.0, 2000), seed=0),
        curved("full", 0.3, 0.4, 0.6, target=0.35, reached=(6.0, 3000), seed=1),
        curved("lora", 0.1, 0.2, 0.3, target=0.35, seed=0),
        curved("lora", 0.1, 0.3, 0.38, target=0.35, reached=(70.0, 3000), seed=1),
        curved("prefix", 0.1, 0.1, target=0.35),
        make("qlora"),
    ]


def part(records):
    [section] = build_sections(compare(records))
    return next((part for part in section.chapters if part.heading == "Learning curves"), None)


def test_the_grid_says_what_a_quality_costs(records):
    grid = part(records).grids[0][1]
    assert grid.header == ("method", "points", "best ROUGE-L", "at step", "target ROUGE-L", "time to quality",
                           "tokens to quality")  # fmt: skip
    assert grid.rows == (
        ("full", "3", "0.550", "20 to 30", "0.35", "5.0 s", "2,500"),
        ("lora", "3", "0.340", "30", "0.35", "1 min 10 s (1 of 2 seeds)", "3,000 (1 of 2 seeds)"),
        ("prefix", "2", "0.100", "10", "0.35", "not reached", "not reached"),
    )


def test_without_a_target_there_is_no_column_for_it(curved):
    grid = part([curved("full", 0.2, 0.5)]).grids[0][1]
    assert grid.header == ("method", "points", "best ROUGE-L", "at step")
    mixed = part([curved("full", 0.2, 0.5), curved("lora", 0.2, target=0.1, reached=(2.0, 1000))]).grids[0][1]
    assert [row[4:] for row in mixed.rows] == [("", "", ""), ("0.1", "2.0 s", "1,000")]


def test_lines_are_means_over_seeds(records):
    [panel] = part(records).figures[0].plot.panels
    lines = {series.name: series.points for series in panel.series}
    assert list(lines) == ["full", "lora", "prefix"]
    assert lines["full"] == ((1.0, 0.25), (2.0, 0.45), (3.0, 0.5))  # thousands of tokens
    assert lines["prefix"] == ((1.0, 0.1), (2.0, 0.1))
    assert part(records).figures[0].plot.x_label == "training tokens (thousands)"
    assert "full: from 0.250 at 1,000 tokens to 0.500 at 3,000." in part(records).figures[0].plot.description


def test_a_mean_goes_as_far_as_every_seed(curved):
    [panel] = part([curved("full", 0.25, 0.5, seed=0), curved("full", 0.75, 0.5, 0.9, seed=1)]).figures[0].plot.panels
    assert panel.series[0].points == ((1.0, 0.5), (2.0, 0.5))


def test_tokens_have_the_scale_that_fits(curved):
    few = part([curved("full", 0.2, learning_curve=curve(0.2, tokens=80))]).figures[0].plot
    many = part([curved("full", 0.2, learning_curve=curve(0.2, 0.3, tokens=4_000_000))]).figures[0].plot
    assert (few.x_label, few.panels[0].series[0].points) == ("training tokens", ((80.0, 0.2),))
    assert (many.x_label, many.panels[0].series[0].points[1]) == ("training tokens (millions)", (8.0, 0.3))


def test_without_curves_there_is_no_part_no_file_and_no_column(make):
    files = render([make("base"), make("full")])
    assert not [name for name in files if name.endswith(".svg")]
    assert not [text for text in files.values() if "Learning curves" in text or "to_quality" in text]


def test_html_and_markdown_say_the_same(records):
    files = render(records)
    made = part(records)
    page = html.unescape(files["leaderboard.html"]).replace("ROUGE‑", "ROUGE-")
    text = files["leaderboard.md"]
    wanted = [
        made.figures[0].caption,
        *made.footnotes,
        *made.grids[0][1].header,
        *(cell for row in made.grids[0][1].rows for cell in row),
    ]
    for shown in (page, text):
        assert [item for item in wanted if item not in shown] == []
    assert "](learning-curve.svg)" in text
    assert text.index("### Ranking") < text.index("### Learning curves") < text.index("### Settings that differ")
    assert ".plot .line" in page  # its style
    root = ET.fromstring(files["learning-curve.svg"])
    names = ["".join(item.itertext()) for item in root.iter(f"{SPACE}text")]
    assert {"full", "lora", "prefix", "training tokens (thousands)", "first point", "last point"} <= set(names)


def test_the_order_of_records_changes_nothing(records):
    wanted = render(records)
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert render(records) == wanted


def test_the_csv_has_times_to_quality_where_some_trial_has(records):
    head, *rows = render(records)["leaderboard.csv"].splitlines()
    column = head.split(",").index("tokens_to_quality")
    assert {row.split(",")[2]: row.split(",")[column] for row in rows}["full"] == "2500.0"


def test_an_old_plot_goes_and_others_stay(records, make, tmp_path):
    store, out = RunStore(tmp_path / "run"), tmp_path / "out"
    for record in records:
        store.add(record)
    assert out / "learning-curve.svg" in write([tmp_path / "run"], out).paths
    (out / "mine.svg").write_text("mine")
    other = RunStore(tmp_path / "other")
    other.add(make("full"))
    write([tmp_path / "other"], out)
    assert [path.name for path in out.glob("*.svg")] == ["mine.svg"]


def test_every_table_has_a_plot_of_its_own(curved):
    longer = {"unit": "steps", "amount": 99.0}
    files = render([curved("full", 0.2), curved("lora", 0.3, budget=longer)])
    assert [name for name in files if name.endswith(".svg")] == ["learning-curve-1.svg", "learning-curve-2.svg"]


@pytest.mark.parametrize("told", [None, [], "much", {"examples": "many", "target_quality": [1]}, {"examples": True}])
def test_details_of_another_shape_are_not_read(curved, told):
    made = part([curved("full", 0.2, 0.3, target=0.1, reached=(2.0, 1000), details={"learning_curve": told})])
    assert made.grids[0][1].rows == (("full", "2", "0.300", "20", "", "2.0 s", "1,000"),)
    assert made.footnotes[0].startswith("Measured on the first validation examples")


@pytest.mark.parametrize(
    "points", [({},), ({"step": 1},), curve(None), curve(1e300), ({"step": 1, "tokens": None, "rougeL": 0.1},)], ids=str
)
def test_points_that_cannot_be_drawn_are_left_out(curved, points):
    assert part([curved("full", learning_curve=points)]) is None
    assert part([curved("full", learning_curve=(*points, *curve(0.2)))]).grids[0][1].rows[0][1] == "1"


def test_a_failed_trial_has_no_curve_here(curved):
    assert part([curved("full", 0.1, 0.2, status="oom")]) is None


def test_many_methods_have_a_legend_of_several_rows_within_the_plot(curved):
    root = ET.fromstring(render([curved(f"lora[r={n}]", 0.1, 0.2 + n / 50) for n in range(9)])["learning-curve.svg"])
    legend = [(float(item.get("x")), float(item.get("y"))) for item in root.findall(f"{SPACE}text")]
    assert len({y for _, y in legend}) > 1
    assert all(x + 6.5 * 9 <= float(root.get("width")) for x, _ in legend)
    [panel] = root.findall(f"{SPACE}g")
    assert float(panel.get("transform").split()[1].rstrip(")")) >= max(y for _, y in legend)
    strokes = [(path.get("stroke"), path.get("stroke-dasharray")) for path in root.findall(f"{SPACE}path")]
    assert len(set(strokes)) == 9  # no two lines look alike

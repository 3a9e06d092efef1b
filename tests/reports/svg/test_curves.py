"""Plots as SVG: where points stand, what their axes say, and that nothing breaks them."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reports.svg.axes import STYLE
from reports.svg.curves import Panel, Plot, Series, draw_curves, smooth

SPACE = "{http://www.w3.org/2000/svg}"
LEFT, RIGHT, TOP, BOTTOM = 66, 426, 36, 246
"""Of a panel's axes, in pixels."""


def plot(*curves, title="rlhf", y_label="reward"):
    series = tuple(Series(f"seed {number}", tuple(points)) for number, points in enumerate(curves))
    return Plot("KL", (Panel(title, y_label, series),), "Reward against KL.")


def drawn(made):
    """The parsed file; raises where it is not XML."""
    return ET.fromstring(draw_curves(made, alone=True))


def texts(root, name=None):
    return ["".join(text.itertext()) for text in root.iter(f"{SPACE}text") if name in (None, text.get("class"))]


def ends(root):
    """(x, y) of rings and discs within the panels."""
    circles = [c for panel in root.iter(f"{SPACE}g") for c in panel.iter(f"{SPACE}circle")]
    return [(c.get("class"), float(c.get("cx")), float(c.get("cy"))) for c in circles]


def test_points_stand_where_the_axes_say():
    root = drawn(plot([(0.0, 0.0), (5.0, 0.5), (10.0, 1.0)]))
    assert texts(root, "tick") == ["0", "2", "4", "6", "8", "10", "0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert ends(root) == [("first", LEFT, BOTTOM), ("last", RIGHT, TOP)]
    dots = root.find(f".//{SPACE}path[@class='dots']").get("d")
    assert dots == f"M{LEFT} {BOTTOM}h0M{(LEFT + RIGHT) // 2} {(TOP + BOTTOM) // 2}h0M{RIGHT} {TOP}h0"


def test_axes_have_labels_with_units_and_panels_titles():
    root = drawn(plot([(0.0, 0.0), (1.0, 1.0)], title="rlhf[r=4]", y_label="mean reward (rouge)"))
    assert {"KL", "mean reward (rouge)", "first step", "last step"} <= set(texts(root))
    assert texts(root, "title") == ["rlhf[r=4]"]
    assert root.get("aria-label") == "Reward against KL."


@pytest.mark.parametrize(
    ("points", "ticks"),
    [
        ([(0.0, -0.3), (0.004, 0.9)], ["0", "0.001", "0.002", "0.003", "0.004", "−0.5", "0", "0.5", "1.0"]),
        ([(0.0, 1000.0), (30.0, 1400.0)], ["0", "10", "20", "30", "1000", "1100", "1200", "1300", "1400"]),
        ([(0.0, 2e6), (1e-7, 8e6)], ["0", "2e−08", "4e−08", "6e−08", "8e−08", "1e−07", "2e+06", "4e+06", "6e+06",
                                     "8e+06"]),
        ([(-0.5, 0.0), (1.0, 3.0)], ["−0.5", "0", "0.5", "1.0", "0", "1", "2", "3"]),
    ],
)  # fmt: skip
def test_ticks_are_round_numbers_that_hold_every_point(points, ticks):
    assert texts(drawn(plot(points)), "tick") == ticks


def test_one_point_is_a_disc_in_the_middle_and_no_line():
    root = drawn(plot([(2.0, 0.5)]))  # on axes from 0 to 2 and from 0 to 1
    assert ends(root) == [("last", RIGHT, (TOP + BOTTOM) / 2)]
    assert not root.findall(f".//{SPACE}g/{SPACE}path[@class='line']")


@pytest.mark.parametrize("value", [0.0, 0.4, -3.0, 1e6, 1e-13])
def test_a_reward_that_stays_the_same_is_a_level_line_within_the_axes(value):
    root = drawn(plot([(0.0, value), (1.0, value), (2.0, value)]))
    heights = {y for _, _, y in ends(root)}
    assert len(heights) == 1
    assert TOP + 20 < heights.pop() < BOTTOM - 20


def test_a_policy_that_never_moves_has_axes_too():
    assert len(ends(drawn(plot([(0.0, 0.1), (0.0, 0.1)])))) == 2


@pytest.mark.parametrize("curve", [[], [(0.0, 1e-320), (1e-320, 0.0)], [(-1e11, 1e11), (1e11, -1e11)]])
def test_odd_curves_are_still_a_plot(curve):
    assert drawn(plot(curve)).tag == f"{SPACE}svg"


def test_time_shows_in_ends_and_in_shades():
    root = drawn(plot([(float(step), step / 2) for step in range(12)]))
    shades = [float(path.get("opacity")) for path in root.findall(f".//{SPACE}g/{SPACE}path[@class='line']")]
    assert len(shades) == 8
    assert shades == sorted(set(shades))
    assert shades[-1] == 1
    (first, x, _), (last, last_x, _) = ends(root)
    assert (first, last) == ("first", "last")
    assert x < last_x


def test_the_pieces_of_a_line_meet():
    root = drawn(plot([(float(step), step % 3) for step in range(12)]))
    pieces = [p.get("d")[1:].split("L") for p in root.findall(f".//{SPACE}g/{SPACE}path[@class='line']")]
    assert all(before[-1] == after[0] for before, after in itertools.pairwise(pieces))
    assert len({place for piece in pieces for place in piece}) == 12


def test_a_long_curve_is_smoothed_over_a_tenth_and_a_short_one_is_not():
    short = [(float(step), float(step % 2)) for step in range(19)]
    assert smooth(short) == short
    points = [(float(step), float(step % 2)) for step in range(20)]
    means = smooth(points)
    assert means[0] == (0.5, 0.5)  # steps 0 and 1
    assert means[1] == pytest.approx((1.0, 1 / 3))  # steps 0, 1 and 2
    assert len(means) == 20


def test_a_very_long_curve_keeps_its_ends_and_200_points():
    root = drawn(plot([(float(step), 0.0 if step == 0 else 1.0) for step in range(5000)]))
    dots = root.find(f".//{SPACE}path[@class='dots']").get("d").split("M")[1:]
    assert len(dots) == 200
    assert (dots[0], dots[-1]) == (f"{LEFT} {BOTTOM}h0", f"{RIGHT - 0.1:g} {TOP}h0")


def test_several_seeds_have_a_legend_and_keep_their_colours():
    points = ((0.0, 0.0), (1.0, 1.0))
    first = Panel("a", "reward", (Series("seed 0", points), Series("seed 1", points)))
    second = Panel("b", "reward", (Series("seed 1", points),))
    root = drawn(Plot("KL", (first, second), ""))
    assert texts(root)[:2] == ["seed 0", "seed 1"]
    colours = [c.get("fill") for c in root.iter(f"{SPACE}circle") if c.get("class") == "last"][1:]
    assert colours == ["var(--c0)", "var(--c1)", "var(--c1)"]
    assert "seed 0" not in texts(drawn(plot(points)))


def test_names_are_escaped_and_what_xml_refuses_is_replaced():
    hostile = 'rl"<script>alert(1)</script>&\x00\x1b\ud800'
    made = plot([(0.0, 0.0)], [(0.0, 0.0)], title=hostile, y_label=hostile)
    made = Plot(hostile, made.panels, hostile)
    for alone in (True, False):
        text = draw_curves(made, alone=alone)
        assert "<script" not in text
        assert ET.fromstring(text).tag.endswith("svg")
    assert texts(drawn(made), "title")[0].startswith('rl"<script>alert(1)</script>&���')


def test_long_texts_are_cut_and_whole_under_the_pointer():
    root = drawn(plot([(0.0, 0.0)], title="r" * 100, y_label="y" * 100))
    assert texts(root, "title") == ["r" * 39 + "…" + "r" * 100]
    assert "y" * 29 + "…" + "y" * 100 in texts(root)


def test_a_file_has_a_style_of_its_own_and_a_page_needs_none():
    made = plot([(0.0, 0.0)])
    alone, inside = draw_curves(made, alone=True), draw_curves(made, alone=False)
    assert "prefers-color-scheme: dark" in alone
    assert "<style" not in inside
    assert "http" not in inside
    used = set(re.findall(r"var\((--\w+)\)", alone))
    assert used <= set(re.findall(r"(--\w+):", alone))
    page = (Path(__file__).parents[3] / "reports" / "render" / "templates" / "leaderboard.html.j2").read_text(
        encoding="utf-8"
    )
    assert used <= set(re.findall(r"(--\w+):", page + STYLE))

"""Curves as SVG, written by hand: panels with axes, ticks and a legend, legible in light and dark. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from reports.svg.axes import (
    BOTTOM,
    LEFT,
    LEGEND,
    RIGHT,
    TOP,
    draw_frame,
    draw_page,
    fit_axis,
    locate,
    page_width,
    shorten,
)

Point = tuple[float, float]

_ROW = 20
"""Height of every further row of a legend."""
_COLOURS = 6
_SHADES = 8
"""A line is drawn in so many pieces, from faint to full, so that its direction shows."""
_AT_MOST = 200
"""Points of one series; of more, evenly spaced ones are drawn."""
_LARGEST = 1e12
"""Numbers beyond it are a plugin's mistake, and would flatten everything else."""
_NAME = 50
"""Characters of a name that fit; the whole name shows under the pointer."""


@dataclass(frozen=True)
class Series:
    """One curve, in the order of time."""

    name: str
    """Series of one name have one colour in every panel."""
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    y_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Plot:
    """Panels beside each other, with an x axis of one meaning."""

    x_label: str
    panels: tuple[Panel, ...]
    description: str
    """What it shows, for those who do not see it."""
    ends: tuple[str, str] = ("first step", "last step")
    """What a ring and a disc stand for."""

    def svg(self, *, alone: bool) -> str:
        """One SVG element; `alone` as a file with a style of its own, else for a page that has `axes.STYLE`."""
        return draw_curves(self, alone=alone)


def is_drawable(value: Any) -> TypeGuard[float]:
    """Whether a value of a record is a number that a plot can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def smooth(points: Sequence[Point]) -> list[Point]:
    """Means over neighbours, a tenth of the curve wide; curves of fewer than 20 points stay as they are."""
    reach = len(points) // 20
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(math.fsum(x for x, _ in near) / len(near), math.fsum(y for _, y in near) / len(near)) for near in windows]


def draw_curves(plot: Plot, *, alone: bool) -> str:
    """The plot as one SVG element; `alone` as a file with a style of its own, else for a page that has `STYLE`."""
    names = list(dict.fromkeys(series.name for panel in plot.panels for series in panel.series))
    legend, height = _draw_legend(names, plot.ends, page_width(len(plot.panels)))
    panels = [_draw_panel(panel, plot.x_label, names) for panel in plot.panels]
    return draw_page(legend, panels, plot.description, alone=alone, top=height)


def _draw_legend(names: Sequence[str], ends: tuple[str, str], width: int) -> tuple[list[str], int]:
    """The colours, where there are several, and how time is shown, in as many rows as that takes; and its height."""
    parts, x, y = [], float(LEFT), 15

    def room(needed: float) -> tuple[float, int]:
        """Where something so wide goes."""
        nonlocal x, y
        if x > LEFT and x + needed > width:
            x, y = float(LEFT), y + _ROW
        x += needed
        return x - needed, y

    for index, name in enumerate(names if len(names) > 1 else ()):
        left, middle = room(44 + 6.5 * min(len(name), _NAME))
        parts += [
            f'<path class="line" {_choose_stroke(index)} d="M{left:g} {middle}h18"/>',
            f'<text x="{left + 24:g}" y="{middle + 4}">{shorten(name, _NAME)}</text>',
        ]
    left, middle = room(160)
    parts += [
        f'<circle class="first" stroke="var(--soft)" cx="{left + 5:g}" cy="{middle}" r="4"/>',
        f'<text x="{left + 15:g}" y="{middle + 4}">{ends[0]}</text>',
        f'<circle fill="var(--soft)" class="last" cx="{left + 90:g}" cy="{middle}" r="5"/>',
        f'<text x="{left + 100:g}" y="{middle + 4}">{ends[1]}</text>',
    ]
    return parts, LEGEND + middle - 15


def _draw_panel(panel: Panel, x_label: str, names: Sequence[str]) -> list[str]:
    drawn = [Series(series.name, _thin_out(series.points)) for series in panel.series if series.points]
    points = [point for series in drawn for point in series.points]
    xs, ys = fit_axis([0.0, *(x for x, _ in points)]), fit_axis([y for _, y in points])
    dots, lines, ends = [], [], []
    for series in drawn:
        index = names.index(series.name)
        colour = _choose_colour(index)
        places, line = (
            [(locate(x, xs, LEFT, RIGHT), locate(y, ys, BOTTOM, TOP)) for x, y in held]
            for held in (series.points, smooth(series.points))
        )
        dots.append(f'<path class="dots" stroke="{colour}" d="{"".join(f"M{x:g} {y:g}h0" for x, y in places)}"/>')
        lines += _draw_line(line, _choose_stroke(index))
        ends += _draw_ends(line, colour)
    return [*draw_frame(panel.title, x_label, panel.y_label, xs, ys), *dots, *lines, *ends]


def _draw_line(line: Sequence[Point], stroke: str) -> list[str]:
    """Pieces that become stronger with time."""
    pieces, last = min(_SHADES, len(line) - 1), len(line) - 1
    parts = []
    for piece in range(pieces):
        path = "L".join(f"{x:g} {y:g}" for x, y in line[piece * last // pieces : (piece + 1) * last // pieces + 1])
        shade = 0.35 + 0.65 * (piece + 1) / pieces
        parts.append(f'<path class="line" {stroke} opacity="{shade:.2f}" d="M{path}"/>')
    return parts


def _draw_ends(line: Sequence[Point], colour: str) -> list[str]:
    """A ring where it begins and a disc where it ends."""
    (x, y), (last_x, last_y) = line[0], line[-1]
    first = [f'<circle class="first" stroke="{colour}" cx="{x:g}" cy="{y:g}" r="4"/>'] if len(line) > 1 else []
    return [*first, f'<circle class="last" fill="{colour}" cx="{last_x:g}" cy="{last_y:g}" r="5"/>']


def _thin_out(points: Sequence[Point]) -> tuple[Point, ...]:
    if len(points) <= _AT_MOST:
        return tuple(points)
    return tuple(points[index * (len(points) - 1) // (_AT_MOST - 1)] for index in range(_AT_MOST))


def _choose_colour(index: int) -> str:
    return f"var(--c{index % _COLOURS})"


def _choose_stroke(index: int) -> str:
    """The colour of a line; when colours come again, it is dashed."""
    return f'stroke="{_choose_colour(index)}"' + (' stroke-dasharray="7 4"' if index // _COLOURS % 2 else "")

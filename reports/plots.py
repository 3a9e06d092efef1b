"""Curves over time as SVG, written by hand: panels with a legend. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.axes import BOTTOM, LEFT, RIGHT, TOP, frame, page, place, safe, span

Point = tuple[float, float]
_COLOURS = 6
_SHADES = 8
"""A line is drawn in so many pieces, from faint to full, so that its direction shows."""
_AT_MOST = 200
"""Points of one series; of more, evenly spaced ones are drawn."""


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


def trend(points: Sequence[Point]) -> list[Point]:
    """Means over neighbours, a tenth of the curve wide; curves of fewer than 20 points stay as they are."""
    reach = len(points) // 20
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(math.fsum(x for x, _ in near) / len(near), math.fsum(y for _, y in near) / len(near)) for near in windows]


def svg(plot: Plot, *, alone: bool) -> str:
    """The plot as one SVG element; `alone` as a file with a style of its own, else for a page that has `STYLE`."""
    names = list(dict.fromkeys(series.name for panel in plot.panels for series in panel.series))
    panels = [_panel(panel, plot.x_label, names) for panel in plot.panels]
    return page(_legend(names), panels, plot.description, alone=alone)


def _legend(names: Sequence[str]) -> list[str]:
    """The colours, where there are several, and how time is shown."""
    parts, x = [], float(LEFT)
    for index, name in enumerate(names if len(names) > 1 else ()):
        colour = _colour(index)
        parts += [
            f'<path class="line" stroke="{colour}" d="M{x:g} 15h18"/>',
            f'<text x="{x + 24:g}" y="19">{safe(name)}</text>',
        ]
        x += 44 + 6.5 * len(name)
    return [
        *parts,
        f'<circle class="first" stroke="var(--soft)" cx="{x + 5:g}" cy="15" r="4"/>',
        f'<text x="{x + 15:g}" y="19">first step</text>',
        f'<circle fill="var(--soft)" class="last" cx="{x + 90:g}" cy="15" r="5"/>',
        f'<text x="{x + 100:g}" y="19">last step</text>',
    ]


def _panel(panel: Panel, x_label: str, names: Sequence[str]) -> list[str]:
    drawn = [Series(series.name, _thinned(series.points)) for series in panel.series if series.points]
    points = [point for series in drawn for point in series.points]
    xs, ys = span([0.0, *(x for x, _ in points)]), span([y for _, y in points])
    parts = frame(panel.title, x_label, panel.y_label, xs, ys)
    dots, lines, ends = [], [], []
    for series in drawn:
        colour = _colour(names.index(series.name))
        places = [(place(x, xs, LEFT, RIGHT), place(y, ys, BOTTOM, TOP)) for x, y in series.points]
        line = [(place(x, xs, LEFT, RIGHT), place(y, ys, BOTTOM, TOP)) for x, y in trend(series.points)]
        dots.append(f'<path class="dots" stroke="{colour}" d="{"".join(f"M{x:g} {y:g}h0" for x, y in places)}"/>')
        lines += _line(line, colour)
        ends += _ends(line, colour)
    return [*parts, *dots, *lines, *ends]


def _line(line: Sequence[Point], colour: str) -> list[str]:
    """Pieces that become stronger with time."""
    pieces, last = min(_SHADES, len(line) - 1), len(line) - 1
    parts = []
    for piece in range(pieces):
        path = "L".join(f"{x:g} {y:g}" for x, y in line[piece * last // pieces : (piece + 1) * last // pieces + 1])
        shade = 0.35 + 0.65 * (piece + 1) / pieces
        parts.append(f'<path class="line" stroke="{colour}" opacity="{shade:.2f}" d="M{path}"/>')
    return parts


def _ends(line: Sequence[Point], colour: str) -> list[str]:
    """A ring where it begins and a disc where it ends."""
    (x, y), (last_x, last_y) = line[0], line[-1]
    first = [f'<circle class="first" stroke="{colour}" cx="{x:g}" cy="{y:g}" r="4"/>'] if len(line) > 1 else []
    return [*first, f'<circle class="last" fill="{colour}" cx="{last_x:g}" cy="{last_y:g}" r="5"/>']


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    if len(points) <= _AT_MOST:
        return tuple(points)
    return tuple(points[index * (len(points) - 1) // (_AT_MOST - 1)] for index in range(_AT_MOST))


def _colour(index: int) -> str:
    return f"var(--c{index % _COLOURS})"

"""Curves as SVG, written by hand: panels with axes, ticks and a legend, legible in light and dark. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeGuard

from reports.axes import ALONE, STYLE
from reports.text import seen

Point = tuple[float, float]
Range = tuple[float, float, float]
"""Lowest and highest value of an axis, and the step of its ticks."""

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 36, 54
_LEGEND, _ROW = 30, 20
"""Height of a legend of one row, and of every further row."""
_COLOURS = 6
_SHADES = 8
"""A line is drawn in so many pieces, from faint to full, so that its direction shows."""
_AT_MOST = 200
"""Points of one series; of more, evenly spaced ones are drawn."""
_LARGEST = 1e12
"""Numbers beyond it are a plugin's mistake, and would flatten everything else."""
_TITLE, _LABEL, _NAME = 40, 30, 50
"""Characters of a title, of a label of the y axis and of a name that fit; the whole text shows under the pointer."""


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


@dataclass(frozen=True)
class Figure:
    """A plot, the file that holds it beside the Markdown, and what stands below it."""

    plot: Plot
    file: str
    caption: str


def drawable(value: Any) -> TypeGuard[float]:
    """Whether a value of a record is a number that a plot can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def trend(points: Sequence[Point]) -> list[Point]:
    """Means over neighbours, a tenth of the curve wide; curves of fewer than 20 points stay as they are."""
    reach = len(points) // 20
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(math.fsum(x for x, _ in near) / len(near), math.fsum(y for _, y in near) / len(near)) for near in windows]


def svg(plot: Plot, *, alone: bool) -> str:
    """The plot as one SVG element; `alone` as a file with a style of its own, else for a page that has `STYLE`."""
    names = list(dict.fromkeys(series.name for panel in plot.panels for series in panel.series))
    columns = min(2, len(plot.panels)) or 1
    width = columns * _WIDTH
    legend, top = _legend(names, plot.ends, width)
    height = top + math.ceil(len(plot.panels) / columns) * _HEIGHT
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    parts = [f'<svg{space} class="plot" role="img" {size} aria-label="{_safe(plot.description)}">']
    if alone:
        parts.append(f"<style>\n{ALONE}{STYLE}</style>\n{_box('page', 0, 0, width, height)}")
    parts += legend
    for index, panel in enumerate(plot.panels):
        x, y = index % columns * _WIDTH, top + index // columns * _HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel, plot.x_label, names), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(names: Sequence[str], ends: tuple[str, str], width: int) -> tuple[list[str], int]:
    """The colours, where there are several, and how time is shown, in as many rows as that takes; and its height."""
    parts, x, y = [], float(_LEFT), 15

    def place(needed: float) -> tuple[float, int]:
        """Where something so wide goes."""
        nonlocal x, y
        if x > _LEFT and x + needed > width:
            x, y = float(_LEFT), y + _ROW
        x += needed
        return x - needed, y

    for index, name in enumerate(names if len(names) > 1 else ()):
        left, middle = place(44 + 6.5 * min(len(name), _NAME))
        parts += [
            f'<path class="line" {_stroke(index)} d="M{left:g} {middle}h18"/>',
            f'<text x="{left + 24:g}" y="{middle + 4}">{_cut(name, _NAME)}</text>',
        ]
    left, middle = place(160)
    parts += [
        f'<circle class="first" stroke="var(--soft)" cx="{left + 5:g}" cy="{middle}" r="4"/>',
        f'<text x="{left + 15:g}" y="{middle + 4}">{ends[0]}</text>',
        f'<circle fill="var(--soft)" class="last" cx="{left + 90:g}" cy="{middle}" r="5"/>',
        f'<text x="{left + 100:g}" y="{middle + 4}">{ends[1]}</text>',
    ]
    return parts, _LEGEND + middle - 15


def _panel(panel: Panel, x_label: str, names: Sequence[str]) -> list[str]:
    drawn = [Series(series.name, _thinned(series.points)) for series in panel.series if series.points]
    points = [point for series in drawn for point in series.points]
    xs, ys = _range([0.0, *(x for x, _ in points)]), _range([y for _, y in points])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [f'<text class="title" x="{_LEFT}" y="20">{_cut(panel.title, _TITLE)}</text>']
    for value in _ticks(xs):
        x = _place(value, xs, _LEFT, right)
        parts.append(f'<path class="grid" d="M{x} {_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 16}" text-anchor="middle">{_label(value, xs)}</text>')
    for value in _ticks(ys):
        y = _place(value, ys, bottom, _TOP)
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{right}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y}" dy="4" text-anchor="end">{_label(value, ys)}</text>')
    middle, centre = (_LEFT + right) / 2, (_TOP + bottom) / 2
    parts += [
        f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>',
        f'<text x="{middle:g}" y="{_HEIGHT - 16}" text-anchor="middle">{_safe(x_label)}</text>',
        f'<text transform="translate(14 {centre:g}) rotate(-90)" text-anchor="middle">'
        f"{_cut(panel.y_label, _LABEL)}</text>",
    ]
    dots, lines, ends = [], [], []
    for series in drawn:
        index = names.index(series.name)
        colour = _colour(index)
        places = [(_place(x, xs, _LEFT, right), _place(y, ys, bottom, _TOP)) for x, y in series.points]
        line = [(_place(x, xs, _LEFT, right), _place(y, ys, bottom, _TOP)) for x, y in trend(series.points)]
        dots.append(f'<path class="dots" stroke="{colour}" d="{"".join(f"M{x:g} {y:g}h0" for x, y in places)}"/>')
        lines += _line(line, _stroke(index))
        ends += _ends(line, colour)
    return [*parts, *dots, *lines, *ends]


def _line(line: Sequence[Point], stroke: str) -> list[str]:
    """Pieces that become stronger with time."""
    pieces, last = min(_SHADES, len(line) - 1), len(line) - 1
    parts = []
    for piece in range(pieces):
        path = "L".join(f"{x:g} {y:g}" for x, y in line[piece * last // pieces : (piece + 1) * last // pieces + 1])
        shade = 0.35 + 0.65 * (piece + 1) / pieces
        parts.append(f'<path class="line" {stroke} opacity="{shade:.2f}" d="M{path}"/>')
    return parts


def _ends(line: Sequence[Point], colour: str) -> list[str]:
    """A ring where it begins and a disc where it ends."""
    (x, y), (last_x, last_y) = line[0], line[-1]
    first = [f'<circle class="first" stroke="{colour}" cx="{x:g}" cy="{y:g}" r="4"/>'] if len(line) > 1 else []
    return [*first, f'<circle class="last" fill="{colour}" cx="{last_x:g}" cy="{last_y:g}" r="5"/>']


def _range(values: Sequence[float]) -> Range:
    """An axis that holds all values and begins and ends at a tick; one value alone stands in its middle."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low <= max(1e-12, 1e-6 * max(abs(low), abs(high))):
        reach = max(abs(low) * 0.1, 0.5)
        low, high = low - reach, high + reach
    magnitude = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(step for factor in (1, 2, 5, 10) if (step := factor * magnitude) * 5.001 >= high - low)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _ticks(axis: Range) -> list[float]:
    low, high, step = axis
    return [(round(low / step) + index) * step for index in range(round((high - low) / step) + 1)]


def _label(value: float, axis: Range) -> str:
    """A tick with the decimals that its step needs, or as a power of ten where that would be long."""
    digits = max(0, -math.floor(math.log10(axis[2]) + 1e-9))
    largest = max(abs(axis[0]), abs(axis[1]))
    text = f"{value:.{digits}f}" if digits < 5 and largest < 1e5 else f"{value:.4g}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def _place(value: float, axis: Range, start: float, end: float) -> float:
    """Where a value stands between the two ends of an axis, in pixels."""
    return round(start + (value - axis[0]) / (axis[1] - axis[0]) * (end - start), 1)


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    if len(points) <= _AT_MOST:
        return tuple(points)
    return tuple(points[index * (len(points) - 1) // (_AT_MOST - 1)] for index in range(_AT_MOST))


def _box(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'


def _colour(index: int) -> str:
    return f"var(--c{index % _COLOURS})"


def _stroke(index: int) -> str:
    """The colour of a line; when colours come again, it is dashed."""
    return f'stroke="{_colour(index)}"' + (' stroke-dasharray="7 4"' if index // _COLOURS % 2 else "")


def _cut(text: str, characters: int) -> str:
    """The text, or as much of it as fits and the whole under the pointer."""
    if len(text) <= characters:
        return _safe(text)
    return f"{_safe(text[: characters - 1])}…<title>{_safe(text)}</title>"


def _safe(text: str) -> str:
    """Text for an SVG: escaped, one line, without what XML refuses."""
    return escape(seen(" ".join(text.split())))

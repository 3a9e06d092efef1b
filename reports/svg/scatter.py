"""Scatter plots as SVG: one quality against one cost in each panel, rows on the front filled. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.records.metrics import Metric, Unit
from reports.svg.axes import BOTTOM, LEFT, RIGHT, TOP, draw_frame, draw_page, escape_text, fit_axis, locate, shorten

_COLOUR = "var(--c0)"
_NAME = 24
"""Characters of a name that are shown."""
_CROWD = 12
"""Dots from which on only those on the front have their name beside them."""
_LETTER, _LINE = 6.5, 13
"""Width of a letter and height of a line, in pixels."""
_SCALES: dict[Unit, tuple[tuple[float, str], ...]] = {
    "bytes": ((1, "B"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB")),
    "parameters": ((1, ""), (1e3, "thousand"), (1e6, "million"), (1e9, "billion")),
    "s": ((1, "s"), (60, "min"), (3600, "h")),
    "J": ((1, "J"), (1e3, "kJ"), (1e6, "MJ")),
    "score": ((1, ""),),
    "money": ((1, ""),),
}


@dataclass(frozen=True)
class Dot:
    """One row."""

    name: str
    x: float
    y: float
    front: bool
    """Whether no row beats it, in all metrics of the plot together."""


@dataclass(frozen=True)
class Panel:
    """One pair of metrics."""

    x: Metric
    y: Metric
    dots: tuple[Dot, ...]
    base: float | None
    """The base's y, drawn as a line: it costs no training."""


@dataclass(frozen=True)
class Scatter:
    """Panels beside each other."""

    panels: tuple[Panel, ...]
    description: str
    """What it shows, for those who do not see it."""

    def svg(self, *, alone: bool) -> str:
        """One SVG element; `alone` as a file with a style of its own, else for a page that has `axes.STYLE`."""
        return draw_scatter(self, alone=alone)


def draw_scatter(plot: Scatter, *, alone: bool) -> str:
    """The plot as one SVG element; `alone` as a file with a style of its own, else for a page that has `axes.STYLE`."""
    return draw_page(_draw_legend(plot), [_draw_panel(panel) for panel in plot.panels], plot.description, alone=alone)


def _draw_legend(plot: Scatter) -> list[str]:
    shown = [(_draw_dot(LEFT + 5, 15, True), "on the front"), (_draw_dot(LEFT + 115, 15, False), "beaten")]
    if any(panel.base is not None for panel in plot.panels):
        shown.append((_draw_base(15, LEFT + 190, LEFT + 210), "base"))
    texts = zip(shown, (LEFT + 15, LEFT + 125, LEFT + 216), strict=False)
    return [part for (mark, text), x in texts for part in (mark, f'<text x="{x}" y="19">{text}</text>')]


def _draw_panel(panel: Panel) -> list[str]:
    levels = [] if panel.base is None else [panel.base]
    (by_x, x_label), (by_y, y_label) = (
        _choose_scale(panel.x, [dot.x for dot in panel.dots]),
        _choose_scale(panel.y, [dot.y for dot in panel.dots]),
    )
    xs = fit_axis([dot.x / by_x for dot in panel.dots])
    ys = fit_axis([y / by_y for y in (*levels, *(dot.y for dot in panel.dots))])
    at = [(locate(dot.x / by_x, xs, LEFT, RIGHT), locate(dot.y / by_y, ys, BOTTOM, TOP)) for dot in panel.dots]
    return [
        *draw_frame(f"{panel.y.title} against {panel.x.title}", x_label, y_label, xs, ys),
        *(_draw_base(locate(level / by_y, ys, BOTTOM, TOP), LEFT, RIGHT) for level in levels),
        *(_draw_dot(x, y, dot.front, dot.name) for dot, (x, y) in zip(panel.dots, at, strict=True)),
        *_draw_names(_choose_names(panel.dots), at),
    ]


def _choose_scale(metric: Metric, values: Sequence[float]) -> tuple[float, str]:
    """What to divide by so that the ticks are short, and the label that says so."""
    largest = max(map(abs, values), default=0)
    scales = _SCALES.get(metric.unit, ((1, metric.unit),))
    factor, unit = next((scale for scale in reversed(scales) if scale[0] <= largest), scales[0])
    return factor, f"{metric.title} ({unit})" if unit else metric.title


def _choose_names(dots: Sequence[Dot]) -> list[str]:
    """The name beside each dot, without the settings that all have in common; empty where there are too many."""
    settings = {"[".join(["", *dot.name.split("[")[1:]]) for dot in dots}
    common = settings.pop() if len(settings) == 1 else ""
    crowd = len(dots) > _CROWD
    return ["" if crowd and not dot.front else dot.name.removesuffix(common) for dot in dots]


def _draw_names(names: Sequence[str], at: Sequence[tuple[float, float]]) -> list[str]:
    """Names beside their dots, each below the ones that it would cover."""
    taken: list[tuple[float, float, float]] = []
    parts = []
    named = [pair for pair in zip(names, at, strict=True) if pair[0]]
    for name, (x, y) in sorted(named, key=lambda pair: (pair[1][1], pair[1][0], pair[0])):
        width = _LETTER * min(len(name), _NAME)
        left = x + 9 + width > RIGHT
        start = x - 9 - width if left else x + 9
        while any(abs(y - top) < _LINE and start < end and begin < start + width for begin, end, top in taken):
            y = math.floor(y) + 1
        taken.append((start, start + width, y))
        anchor = ' text-anchor="end"' if left else ""
        parts.append(f'<text x="{x - 9 if left else x + 9:g}" y="{y:g}" dy="4"{anchor}>{shorten(name, _NAME)}</text>')
    return parts


def _draw_dot(x: float, y: float, front: bool, name: str = "") -> str:
    """A dot, with its whole name under the pointer."""
    look = f'class="last" fill="{_COLOUR}" r="5"' if front else f'class="first" stroke="{_COLOUR}" r="4"'
    title = f"<title>{escape_text(name)}</title>" if name else ""
    return f'<circle {look} cx="{x:g}" cy="{y:g}">{title}</circle>'


def _draw_base(y: float, start: float, end: float) -> str:
    return f'<path class="axis" fill="none" stroke-dasharray="4 4" d="M{start:g} {y:g}H{end:g}"/>'

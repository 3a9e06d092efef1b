"""Axes of plots as SVG: a page of panels, legible in light and dark, with ticks at round numbers. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from reports.format import replace_hidden

Range = tuple[float, float, float]
"""Lowest and highest value of an axis, and the step of its ticks."""

WIDTH, HEIGHT = 440, 300
"""Of a panel, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 66, WIDTH - 14, 36, HEIGHT - 54
"""Where the axes of a panel stand in it."""
LEGEND = 30
"""Height of the strip above the panels, where its legend has one row."""
_TITLE, _LABEL = 40, 30
"""Characters of a title and of a label of the y axis that fit; the whole text shows under the pointer."""

STYLE = """\
.plot { font: 12px/1 system-ui, sans-serif; }
.plot { --c0: #2f6fde; --c1: #d9630b; --c2: #15803d; --c3: #8b46c9; --c4: #c2255c; --c5: #0b7285; }
@media (prefers-color-scheme: dark) {
  .plot { --c0: #74a9ff; --c1: #ffa057; --c2: #5ec98a; --c3: #c59bff; --c4: #ff8fb1; --c5: #5cc8d8; }
}
.plot text { fill: var(--soft); }
.plot .title { fill: var(--ink); font-weight: 600; font-size: 13px; }
.plot .tick { font-size: 11px; font-variant-numeric: tabular-nums; }
.plot .grid { stroke: var(--line); }
.plot .axis { stroke: var(--soft); }
.plot .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
.plot .first { fill: var(--page); stroke-width: 2; }
.plot .last { stroke: var(--page); }
.plot .dots { fill: none; stroke-width: 4; stroke-linecap: round; opacity: .35; }
.plot .page { fill: var(--page); }
"""
"""Rules of every plot; the page around it gives `--ink`, `--soft`, `--line` and `--page`."""

ALONE = """\
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e1e6; --page: #fcfcfd; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #363a3f; --page: #111113; } }
"""


def page_width(panels: int) -> int:
    """Width in pixels of a page with so many panels, two beside each other."""
    return (min(2, panels) or 1) * WIDTH


def draw_page(
    legend: Sequence[str], panels: Sequence[Sequence[str]], description: str, *, alone: bool, top: int = LEGEND
) -> str:
    """Panels, two beside each other, below a legend of the height `top`, as one SVG element; `alone` as a file with a
    style of its own, else for a page with `STYLE`. `description` says what it shows, for those who do not see it."""
    width = page_width(len(panels))
    columns = width // WIDTH
    height = top + math.ceil(len(panels) / columns) * HEIGHT
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    parts = [f'<svg{space} class="plot" role="img" {size} aria-label="{escape_text(description)}">']
    if alone:
        paper = f'<rect class="page" x="0" y="0" width="{width}" height="{height}"/>'
        parts.append(f"<style>\n{ALONE}{STYLE}</style>\n{paper}")
    parts += legend
    for index, panel in enumerate(panels):
        x, y = index % columns * WIDTH, top + index // columns * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *panel, "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_frame(title: str, x_label: str, y_label: str, xs: Range, ys: Range) -> list[str]:
    """Title, grid, ticks, axes and labels of one panel."""
    parts = [f'<text class="title" x="{LEFT}" y="20">{shorten(title, _TITLE)}</text>']
    for value in _list_ticks(xs):
        x = locate(value, xs, LEFT, RIGHT)
        parts.append(f'<path class="grid" d="M{x} {TOP}V{BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{x}" y="{BOTTOM + 16}" text-anchor="middle">{_format_tick(value, xs)}</text>'
        )
    for value in _list_ticks(ys):
        y = locate(value, ys, BOTTOM, TOP)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{_format_tick(value, ys)}</text>'
        )
    middle, centre = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    y_text = shorten(y_label, _LABEL)
    return [
        *parts,
        f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>',
        f'<text x="{middle:g}" y="{HEIGHT - 16}" text-anchor="middle">{escape_text(x_label)}</text>',
        f'<text transform="translate(14 {centre:g}) rotate(-90)" text-anchor="middle">{y_text}</text>',
    ]


def fit_axis(values: Sequence[float]) -> Range:
    """An axis that holds all values and begins and ends at a tick; one value alone stands in its middle."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low <= max(1e-12, 1e-6 * max(abs(low), abs(high))):
        reach = max(abs(low) * 0.1, 0.5)
        low, high = low - reach, high + reach
    magnitude = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(step for factor in (1, 2, 5, 10) if (step := factor * magnitude) * 5.001 >= high - low)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _list_ticks(axis: Range) -> list[float]:
    low, high, step = axis
    return [(round(low / step) + index) * step for index in range(round((high - low) / step) + 1)]


def _format_tick(value: float, axis: Range) -> str:
    """A tick with the decimals that its step needs, or as a power of ten where that would be long."""
    digits = max(0, -math.floor(math.log10(axis[2]) + 1e-9))
    largest = max(abs(axis[0]), abs(axis[1]))
    text = f"{value:.{digits}f}" if digits < 5 and largest < 1e5 else f"{value:.4g}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def locate(value: float, axis: Range, start: float, end: float) -> float:
    """Where a value stands between the two ends of an axis, in pixels."""
    return round(start + (value - axis[0]) / (axis[1] - axis[0]) * (end - start), 1)


def shorten(text: str, characters: int) -> str:
    """The text, or as much of it as fits and the whole under the pointer."""
    if len(text) <= characters:
        return escape_text(text)
    return f"{escape_text(text[: characters - 1])}…<title>{escape_text(text)}</title>"


def escape_text(text: str) -> str:
    """Text for an SVG: escaped, one line, without what XML refuses."""
    return escape(replace_hidden(" ".join(text.split())))

"""A part of a section of the leaderboard beside its ranking: what Markdown and HTML write in the same order."""

from __future__ import annotations

from dataclasses import dataclass

from reports.sections.grid import Grid
from reports.svg.curves import Plot
from reports.svg.scatter import Scatter


@dataclass(frozen=True)
class Figure:
    """A plot, the file that holds it beside the Markdown, and what stands above and below it (which may be empty)."""

    heading: str
    plot: Plot | Scatter
    file: str
    caption: str


@dataclass(frozen=True)
class Chapter:
    """Points, then tables with their headings (which may be empty), then footnotes, then figures."""

    heading: str
    points: tuple[str, ...] = ()
    grids: tuple[tuple[str, Grid], ...] = ()
    footnotes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

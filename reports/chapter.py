"""A part of a section of the leaderboard beside its ranking: what Markdown and HTML write in the same order."""

from __future__ import annotations

from dataclasses import dataclass

from reports.grid import Grid


@dataclass(frozen=True)
class Chapter:
    """Points, then tables with their headings (which may be empty), then footnotes."""

    heading: str
    points: tuple[str, ...] = ()
    grids: tuple[tuple[str, Grid], ...] = ()
    footnotes: tuple[str, ...] = ()

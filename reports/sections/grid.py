"""A table of texts: what Markdown and HTML are made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A table of texts. Columns with `right` hold numbers."""

    header: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: tuple[bool, ...] = ()
    """By row: whether it is the best one."""
    values: tuple[tuple[float | None, ...], ...] = ()
    """By row and column: the number behind a text, by which a reader may sort."""
    lower_is_better: tuple[bool, ...] = ()
    """By column."""

"""Writes the leaderboards of run directories: a pure function of their records, the same bytes every time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from reports import csv_table, html, markdown, plots
from reports.aggregate import tables, unique
from reports.content import sections, with_problems
from reports.record import Record, redacted
from reports.secrets import ours
from reports.store import read_records, write_text

_PLOT = re.compile(r"(reward-kl|learning-curve)(-\d+)?\.svg")


def write(directories: Sequence[Path], out: Path) -> list[Path]:
    """Write `leaderboard.md`, `.html`, `.csv`, `records.csv` and what plots there are to `out`; return their paths.

    Raises `StoreError` for a directory without records. Files that are no records are named in the report. A plot that
    an earlier report left and this one does not have is removed.
    """
    records: list[Record] = []
    problems: list[str] = []
    for directory in directories:
        found, complaints = read_records(directory)
        records += map(redacted, found)  # which may come from elsewhere, or from before there was such care
        problems += map(ours(), complaints)
    files = render(records, problems)
    for name, text in files.items():
        write_text(out / name, text)
    for path in out.glob("*.svg"):
        if path.name not in files and _PLOT.fullmatch(path.name):
            with contextlib.suppress(OSError):  # what cannot be removed is linked from nowhere
                path.unlink()
    return [out / name for name in files]


def short(directories: Sequence[Path]) -> str:
    """The leaderboard in a few lines, for a terminal."""
    records = [redacted(record) for directory in directories for record in read_records(directory)[0]]
    return "\n\n".join(map(markdown.short, sections(tables(records))))


def render(records: Sequence[Record], problems: Sequence[str] = ()) -> dict[str, str]:
    """File name → text of every report."""
    compared = tables(records)
    made = with_problems(sections(compared), sorted(set(problems)))
    return {
        "leaderboard.md": markdown.render(made),
        "leaderboard.html": html.render(made),
        "leaderboard.csv": csv_table.leaderboard(compared),
        "records.csv": csv_table.records(unique(records)),
        **{
            part.curve.file: plots.svg(part.curve.plot, alone=True)
            for section in made
            for part in (section.preferences, section.learning)
            if part and part.curve
        },
    }

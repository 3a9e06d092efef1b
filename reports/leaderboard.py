"""Writes the leaderboards of run directories: a pure function of their records, the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports import csv_table, html, markdown
from reports.aggregate import tables, unique
from reports.content import sections, with_problems
from reports.record import Record
from reports.store import read_records, write_text


def write(directories: Sequence[Path], out: Path) -> list[Path]:
    """Write `leaderboard.md`, `.html`, `.csv` and `records.csv` to `out` and return their paths.

    Raises `StoreError` for a directory without records. Files that are no records are named in the report.
    """
    records: list[Record] = []
    problems: list[str] = []
    for directory in directories:
        found, complaints = read_records(directory)
        records += found
        problems += complaints
    files = render(records, problems)
    for name, text in files.items():
        write_text(out / name, text)
    return [out / name for name in files]


def render(records: Sequence[Record], problems: Sequence[str] = ()) -> dict[str, str]:
    """File name → text of every report."""
    compared = tables(records)
    made = with_problems(sections(compared), sorted(set(problems)))
    return {
        "leaderboard.md": markdown.render(made),
        "leaderboard.html": html.render(made),
        "leaderboard.csv": csv_table.leaderboard(compared),
        "records.csv": csv_table.records(unique(records)),
    }

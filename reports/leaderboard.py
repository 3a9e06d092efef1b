"""Writes the leaderboards of run directories: a pure function of their records, the same bytes every time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from reports import csv_table, html, markdown, mixed, pareto
from reports.aggregate import Table, tables, unique
from reports.content import sections, with_problems
from reports.metrics import known
from reports.record import Record, redacted
from reports.secrets import ours
from reports.store import read_records, write_text

_PLOT = re.compile(r"(reward-kl|trade-offs|learning-curve)(-\d+)?\.svg")


def write(
    directories: Sequence[Path], out: Path, *, traded: Sequence[str] = (), allow_mixed: bool = False
) -> list[Path]:
    """Write `leaderboard.md`, `.html`, `.csv`, `differences.csv`, `records.csv` and plots to `out`; return paths.

    Names in `traded` are the metrics whose Pareto front is shown; with `allow_mixed` what cannot be compared stands in
    one table all the same. Raises `StoreError` for a directory without records, `MetricError` for a metric that cannot
    be traded. Files that are no records are named in the report. A plot that an earlier report left and this one does
    not have is removed.
    """
    files = render(*read(directories), traded=traded, allow_mixed=allow_mixed)
    for name, text in files.items():
        write_text(out / name, text)
    for path in out.glob("*.svg"):
        if path.name not in files and _PLOT.fullmatch(path.name):
            with contextlib.suppress(OSError):  # what cannot be removed is linked from nowhere
                path.unlink()
    return [out / name for name in files]


def short(directories: Sequence[Path], *, allow_mixed: bool = False) -> str:
    """The leaderboard in a few lines, for a terminal."""
    return "\n\n".join(map(markdown.short, sections(compared(read(directories)[0], allow_mixed=allow_mixed))))


def read(directories: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """The records of run directories and a sentence for each file that is none; neither holds secrets."""
    records: list[Record] = []
    problems: list[str] = []
    for directory in directories:
        found, complaints = read_records(directory)
        records += map(redacted, found)  # which may come from elsewhere, or from before there was such care
        problems += map(ours(), complaints)
    return records, problems


def compared(records: Sequence[Record], *, allow_mixed: bool) -> tuple[Table, ...]:
    """The tables of these records, or the one with all of them."""
    return mixed.together(tables(records)) if allow_mixed else tables(records)


def render(
    records: Sequence[Record],
    problems: Sequence[str] = (),
    *,
    traded: Sequence[str] = (),
    allow_mixed: bool = False,
) -> dict[str, str]:
    """File name → text of every report; see `write`."""
    shown = compared(records, allow_mixed=allow_mixed)
    metrics = pareto.choose(traded, known(records)) if traded else None
    made = with_problems(sections(shown, metrics), sorted(set(problems)))
    return {
        "leaderboard.md": markdown.render(made),
        "leaderboard.html": html.render(made),
        "leaderboard.csv": csv_table.leaderboard(shown),
        "differences.csv": csv_table.differences(shown),
        "records.csv": csv_table.records(unique(records)),
        **{
            figure.file: figure.plot.svg(alone=True)
            for section in made
            for chapter in section.chapters
            for figure in chapter.figures
        },
    }

"""Writes the leaderboards of run directories: a pure function of their records, the same bytes every time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.analysis import mixed, pareto
from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables, keep_latest_records
from reports.records.metrics import collect_metrics
from reports.records.record import Record, redact_record
from reports.records.secrets import make_redactor
from reports.records.store import read_records, write_text
from reports.render import frames, html, markdown
from reports.render.csv import render_csv
from reports.sections.page import Section, add_problems, build_sections

_PLOT = re.compile(r"(reward-kl|trade-offs|learning-curve)(-\d+)?\.svg")


@dataclass(frozen=True)
class Written:
    """What was written, and the leaderboard in a few lines, for a terminal."""

    paths: tuple[Path, ...]
    summary: str


def write(directories: Sequence[Path], out: Path, *, traded: Sequence[str] = (), allow_mixed: bool = False) -> Written:
    """Write `leaderboard.md`, `.html`, `.csv`, `differences.csv`, `records.csv` and plots to `out`.

    Names in `traded` are the metrics whose Pareto front is shown; with `allow_mixed` what cannot be compared stands in
    one table all the same. Raises `StoreError` for a directory without records, `MetricError` for a metric that cannot
    be traded. Files that are no records are named in the report. A plot that an earlier report left and this one does
    not have is removed.
    """
    records, problems = read(directories)
    standings = compare(records, allow_mixed=allow_mixed)
    made = _build_sections(records, standings, problems, traded)
    files = _render_files(records, standings, made)
    for name, text in files.items():
        write_text(out / name, text)
    for path in out.glob("*.svg"):
        if path.name not in files and _PLOT.fullmatch(path.name):
            with contextlib.suppress(OSError):  # what cannot be removed is linked from nowhere
                path.unlink()
    return Written(tuple(out / name for name in files), "\n\n".join(map(markdown.render_summary, made)))


def render(
    records: Sequence[Record],
    problems: Sequence[str] = (),
    *,
    traded: Sequence[str] = (),
    allow_mixed: bool = False,
) -> dict[str, str]:
    """File name → text of every report; see `write`."""
    standings = compare(records, allow_mixed=allow_mixed)
    return _render_files(records, standings, _build_sections(records, standings, problems, traded))


def read(directories: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """The records of run directories and a sentence for each file that is none; neither holds secrets."""
    records: list[Record] = []
    problems: list[str] = []
    for directory in directories:
        found, complaints = read_records(directory)
        records += map(redact_record, found)  # which may come from elsewhere, or from before there was such care
        problems += map(make_redactor(), complaints)
    return records, problems


def compare(records: Sequence[Record], *, allow_mixed: bool = False) -> tuple[Standing, ...]:
    """The standing of each table of these records, or of the one with all of them."""
    shown = mixed.merge_tables(build_tables(records)) if allow_mixed else build_tables(records)
    return tuple(map(Standing, shown))


def _build_sections(
    records: Sequence[Record], standings: Sequence[Standing], problems: Sequence[str], traded: Sequence[str]
) -> tuple[Section, ...]:
    metrics = pareto.choose_metrics(traded, collect_metrics(records)) if traded else None
    return add_problems(build_sections(standings, metrics), sorted(set(problems)))


def _render_files(records: Sequence[Record], standings: Sequence[Standing], made: Sequence[Section]) -> dict[str, str]:
    return {
        "leaderboard.md": markdown.render_markdown(made),
        "leaderboard.html": html.render_html(made),
        "leaderboard.csv": render_csv(frames.build_leaderboard_frame(standings)),
        "differences.csv": render_csv(frames.build_differences_frame(standings)),
        "records.csv": render_csv(frames.build_records_frame(keep_latest_records(records))),
        **{
            figure.file: figure.plot.svg(alone=True)
            for section in made
            for chapter in section.chapters
            for figure in chapter.figures
        },
    }

"""The part of a report on searches: tries, what was searched, what was chosen, and whether that lies on an edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.record import Record
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid


def build_chapter(rows: Sequence[Row], tries: Sequence[Record]) -> Chapter | None:
    """A line for each row that a search has chosen the setting of; `tries` are the trials of all searches."""
    found = [(row, told) for row in rows if (told := _told(row))]
    if not found:
        return None
    untuned = [row.variant for row in rows if row.role == "candidate" and not _told(row)]
    header = ("method", "tries", "failed", "searched", "chosen", "validation ROUGE-L", "as it stands", "search time")
    body = [
        (
            row.variant,
            str(told.get("tries", "")),
            str(told.get("failed", "")),
            _pairs(told.get("space")),
            _pairs(told.get("chosen")),
            _score(told.get("score")),
            _score(told.get("score_as_it_stands")),
            format_value(_seconds(row, told, tries), "s"),
        )
        for row, told in found
    ]
    notes = [
        "Every try trained with the budget of the table and one seed, and was scored on the validation split; the test "
        "split was seen by the chosen setting alone, once with each seed."
    ]
    if untuned:
        notes.append(f"Not searched, and so at a disadvantage or at none: {', '.join(untuned)}.")
    right = (False, True, True, False, False, True, True, True)
    return Chapter("Tuning", grids=(("", Grid(header, right, tuple(body))),), footnotes=tuple(notes))


def list_warnings(rows: Sequence[Row]) -> tuple[str, ...]:
    """What a reader should know of choices on the edge of their range, and of tries that were not as many for all."""
    said = []
    for row in rows:
        edge = _told(row).get("edge")
        if isinstance(edge, list | tuple) and edge:
            knobs = ", ".join(map(str, edge))
            said.append(
                f"{row.variant}: the search chose {knobs} at the edge of the range; better values may lie beyond."
            )
    tries = {str(told.get("tries")) for row in rows if (told := _told(row))}
    if len(tries) > 1:
        said.append(
            "The searches of this table did not try equally many settings: the comparison favours those with more."
        )
    return tuple(said)


def _seconds(row: Row, told: Mapping[str, Any], tries: Sequence[Record]) -> float | None:
    """What the tries of a row's search took in all; they are those that differ from it in what was searched alone."""
    space = told.get("space")
    searched = set(space) if isinstance(space, Mapping) else set()
    done = row.records[0]

    def rest(record: Record) -> tuple[str, dict[str, Any]]:
        return record.method, {knob: value for knob, value in record.settings.items() if knob not in searched}

    times = [record.metrics.get("total_seconds") for record in tries if rest(record) == rest(done)]
    return math.fsum(time for time in times if time is not None) if any(times) else None


def _told(row: Row) -> Mapping[str, Any]:
    for record in row.records:
        told = record.details.get("tuning")
        if isinstance(told, Mapping):
            return told
    return {}


def _pairs(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return "; ".join(f"{name}: {f'{value:g}' if isinstance(value, float) else value}" for name, value in values.items())


def _score(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) and not isinstance(value, bool) else ""

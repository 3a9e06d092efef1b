"""The part of a report on searches: tries, what was searched, what was chosen, and whether that lies on an edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.details import SearchDetails, read_details
from reports.records.record import Record
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid


def build_chapter(rows: Sequence[Row], tries: Sequence[Record]) -> Chapter | None:
    """A line for each row that a search has chosen the setting of; `tries` are the trials of all searches."""
    found = [(row, search) for row in rows if (search := _find_search(row))]
    if not found:
        return None
    untuned = [row.variant for row in rows if row.role == "candidate" and not _find_search(row)]
    header = ("method", "tries", "failed", "searched", "chosen", "validation ROUGE-L", "as it stands", "search time")
    body = [
        (
            row.variant,
            _format_count(search.tries),
            _format_count(search.failed),
            _format_pairs(search.space),
            _format_pairs(search.chosen),
            _format_score(search.score),
            _format_score(search.score_as_it_stands),
            format_value(_sum_seconds(row, search, tries), "s"),
        )
        for row, search in found
    ]
    notes = [
        "Every try trained with the budget of the table and one seed, and was scored on the validation split; "
        "only the chosen setting was evaluated on the test split, once with each seed."
    ]
    if untuned:
        notes.append(f"Not tuned, and so possibly at a disadvantage: {', '.join(untuned)}.")
    right = (False, True, True, False, False, True, True, True)
    return Chapter("Tuning", grids=(("", Grid(header, right, tuple(body))),), footnotes=tuple(notes))


def list_warnings(rows: Sequence[Row]) -> tuple[str, ...]:
    """What a reader should know of choices on the edge of their range, and of tries that were not as many for all."""
    said = []
    for row in rows:
        search = _find_search(row)
        if search and search.edge:
            knobs = ", ".join(search.edge)
            said.append(
                f"{row.variant}: the search chose {knobs} at the edge of the range; better values may lie beyond."
            )
    tries = {search.tries for row in rows if (search := _find_search(row))}
    if len(tries) > 1:
        said.append(
            "The searches of this table did not try equally many settings: the comparison favours those with more."
        )
    return tuple(said)


def _sum_seconds(row: Row, search: SearchDetails, tries: Sequence[Record]) -> float | None:
    """What the tries of a row's search took in all; they are those that differ from it in what was searched alone."""
    done = row.records[0]

    def rest(record: Record) -> tuple[str, dict[str, Any]]:
        return record.method, {knob: value for knob, value in record.settings.items() if knob not in search.space}

    times = [record.metrics.get("total_seconds") for record in tries if rest(record) == rest(done)]
    return math.fsum(time for time in times if time is not None) if any(times) else None


def _find_search(row: Row) -> SearchDetails | None:
    """The search that chose the row's settings; `None` where there was none."""
    return next((found for record in row.records if (found := read_details(record.details).tuning)), None)


def _format_count(value: int | None) -> str:
    return "" if value is None else str(value)


def _format_pairs(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {f'{value:g}' if isinstance(value, float) else value}" for name, value in values.items())


def _format_score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

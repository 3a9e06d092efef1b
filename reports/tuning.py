"""The part of a report on searches: tries, what was searched, what was chosen, and whether that lies on an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.aggregate import Row
from reports.chapter import Chapter
from reports.grid import Grid


def chapter(rows: Sequence[Row]) -> Chapter | None:
    """A line for each row that a search has chosen the setting of."""
    found = [(row, told) for row in rows if (told := _told(row))]
    if not found:
        return None
    untuned = [row.variant for row in rows if row.role == "candidate" and not _told(row)]
    header = ("method", "tries", "failed", "searched", "chosen", "validation ROUGE-L", "as it stands")
    body = [
        (
            row.variant,
            str(told.get("tries", "")),
            str(told.get("failed", "")),
            _pairs(told.get("space")),
            _pairs(told.get("chosen")),
            _score(told.get("score")),
            _score(told.get("score_as_it_stands")),
        )
        for row, told in found
    ]
    notes = [
        "Every try had the budget of the table and saw the validation split alone; the test split was seen once, by "
        "the chosen setting."
    ]
    if untuned:
        notes.append(f"Not searched, and so at a disadvantage or at none: {', '.join(untuned)}.")
    right = (False, True, True, False, False, True, True)
    return Chapter("Tuning", grids=(("", Grid(header, right, tuple(body))),), footnotes=tuple(notes))


def warnings(rows: Sequence[Row]) -> tuple[str, ...]:
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

"""The order of a table: candidates by the primary metric, the base as their measure, failures last."""

from __future__ import annotations

from dataclasses import dataclass

from reports.aggregate import Row, Table

PRIMARY = "rougeL"
"""The metric that ranks; higher is better."""
TIE = 4
"""Decimals to which rows must agree to share a rank."""


@dataclass(frozen=True)
class Place:
    """A row's place in its table."""

    row: Row
    rank: int | None
    """1 for the best; `None` for the base, fakes and rows without a result."""
    gain: float | None
    """Primary metric minus the base's; `None` for the base itself and where either is missing."""


def places(table: Table) -> tuple[Place, ...]:
    """Base, ranked candidates, fakes, failures; rows that agree to four decimals share a rank (1, 1, 3)."""
    bases = [row for row in table.all_rows if row.role == "base"]  # several only where tables are mixed
    scored = [(row, score) for row in table.rows if row.role != "base" and (score := row.mean(PRIMARY)) is not None]
    scored.sort(key=lambda pair: (-round(pair[1], TIE), pair[0].variant))
    candidates = [pair for pair in scored if pair[0].role == "candidate"]
    made = [Place(base, None, None) for base in bases]
    rank, before = 0, None
    for number, (row, score) in enumerate(candidates, start=1):
        if round(score, TIE) != before:
            rank, before = number, round(score, TIE)
        made.append(Place(row, rank, gain(table, row)))
    made += [Place(row, None, gain(table, row)) for row, _ in scored if row.role != "candidate"]
    done = {id(place.row) for place in made}
    return (*made, *(Place(row, None, None) for row in table.rows if id(row) not in done))


def gain(table: Table, row: Row) -> float | None:
    """Primary metric of a row minus that of its base; `None` where either is missing."""
    base, mean = table.base_of(row), row.mean(PRIMARY)
    measure = base.mean(PRIMARY) if base else None
    return None if measure is None or mean is None else mean - measure


def best(table: Table) -> tuple[Place, ...]:
    """The rows that share the first rank; none where no candidate has a result."""
    return tuple(place for place in places(table) if place.rank == 1)

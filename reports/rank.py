"""The order of a table: candidates by the primary metric, the base as their measure, failures last.

Rows that are not told apart from the best of their group share its rank (1, 1, 3). With two seeds or more that is said
of the methods, with one of the trained models; where records lack the scores of their examples, of equal means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.aggregate import Row, Table
from reports.metrics import PRIMARY

TIE = 4
"""Decimals to which means must agree to share a rank where nothing more is known."""


@dataclass(frozen=True)
class Place:
    """A row's place in its table."""

    row: Row
    rank: int | None
    """1 for the best; `None` for the base, fakes and rows without a result."""
    gain: float | None
    """Primary metric minus the base's; `None` for the base itself and where either is missing."""


def places(table: Table) -> tuple[Place, ...]:
    """Base, ranked candidates, fakes, failures."""
    bases = [row for row in table.all_rows if row.role == "base"]  # several only where tables are mixed
    scored = [(row, score) for row in table.rows if row.role != "base" and (score := row.mean(PRIMARY)) is not None]
    scored.sort(key=lambda pair: (-round(pair[1], TIE), pair[0].variant))
    candidates = [row for row, _ in scored if row.role == "candidate"]
    made = [Place(base, None, None) for base in bases]
    ranked = zip(candidates, _ranks(table, candidates), strict=True)
    made += [Place(row, rank, gain(table, row)) for row, rank in ranked]
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


def _ranks(table: Table, ordered: Sequence[Row]) -> list[int]:
    """Rank of each row, best first: the first one that is told apart from the best of a group begins the next."""
    ranks: list[int] = []
    leader: Row | None = None
    for number, row in enumerate(ordered, start=1):
        if leader is None or _differ(table, leader, row):
            leader = row
            ranks.append(number)
        else:
            ranks.append(ranks[-1])
    return ranks


def _differ(table: Table, better: Row, worse: Row) -> bool:
    found = table.verdict.difference(better.variant, worse.variant)
    if found is None:
        return round(better.mean(PRIMARY) or 0.0, TIE) != round(worse.mean(PRIMARY) or 0.0, TIE)
    return found.told_apart if found.interval.seeds > 1 else found.models_told_apart

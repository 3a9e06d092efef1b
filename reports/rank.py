"""The order of a table: candidates by the primary metric, the base as their measure, failures last.

A row's rank is one more than the number of rows that are better and told apart from it (1, 1, 3). With two seeds or
more that is said of the methods, with one of the trained models; where records lack the scores of their examples, of
means.
Two rows are compared on the seeds that both have, so that one with the lower mean over all its seeds may be the better.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.aggregate import Row, Table
from reports.metrics import PRIMARY
from reports.stats import ranks

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
    candidates = {row.variant: row for row, _ in scored if row.role == "candidate"}
    made = [Place(base, None, None) for base in bases]
    found = ranks(list(candidates), lambda first, second: _above(table, candidates[first], candidates[second]))
    by_rank = sorted(candidates.values(), key=lambda row: found[row.variant])  # of equal rank the higher mean first
    made += [Place(row, found[row.variant], gain(table, row)) for row in by_rank]
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


def _above(table: Table, first: Row, second: Row) -> bool:
    """Whether the first row is better and told apart from the second."""
    found = table.verdict.difference(first.variant, second.variant)
    if found is not None:
        return found.above
    theirs = [set(row.scores(PRIMARY)) for row in (first, second)]
    if all(theirs) and not set.intersection(*theirs) and not table.parts:
        return False  # they could be compared, had they a seed in common
    return round(first.mean(PRIMARY) or 0.0, TIE) > round(second.mean(PRIMARY) or 0.0, TIE)

"""What the scores of a table say: intervals, which rows are told apart, and the ranks that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from reports.stats import Difference, Interval

if TYPE_CHECKING:
    from reports.aggregate import Table


@dataclass(frozen=True)
class Verdict:
    """Of one metric and one table. Empty where the records do not hold the scores of their examples."""

    metric: str
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Variant → mean and interval."""
    differences: Mapping[tuple[str, str], Difference] = field(default_factory=dict)
    """Each pair once, the base among them; the first minus the second."""
    seeds: int = 0
    """Fewest seeds that any two of the compared rows, the base left out, have in common."""

    def difference(self, first: str, second: str) -> Difference | None:
        """First minus second, `None` where they have no seed in common or no scores."""
        found = self.differences.get((first, second))
        if found is None and (second, first) in self.differences:
            return self.differences[second, first].turned()
        return found


def of(table: Table, metric: str) -> Verdict:
    """Compare every two rows of a table that have scores of their examples in this metric.

    The base has no seed: its scores count as those of every seed. Of rows that cannot be compared nothing is said.
    """
    import numpy as np

    from reports.stats import Resampler, differences

    if table.parts:
        return Verdict(metric)
    base = table.base.variant if table.base else None
    held = _scores(table, metric)
    every = sorted({seed for name, scores in held.items() for seed in scores if name != base})
    if base in held and every:
        held[base] = dict.fromkeys(every, next(iter(held[base].values())))
    if not held:
        return Verdict(metric)
    seeds = {name: sorted(scores) for name, scores in held.items()}
    rows = {name: np.array([scores[seed] for seed in seeds[name]]) for name, scores in held.items()}
    candidates = [set(found) for name, found in seeds.items() if name != base]
    shared = [len(a & b) for a, b in combinations(candidates, 2)]
    return Verdict(
        metric,
        intervals_in(table, metric),
        differences(rows, seeds, Resampler(_length(held))),
        min(shared, default=len(every)),
    )


def intervals_in(table: Table, metric: str) -> dict[str, Interval]:
    """Variant → mean and interval, for the rows that have scores of their examples."""
    import numpy as np

    from reports.stats import Resampler, intervals

    held = {} if table.parts else _scores(table, metric)
    if not held:
        return {}
    rows = [np.array([scores[seed] for seed in sorted(scores)]) for scores in held.values()]
    found = intervals(rows, Resampler(_length(held)))
    return {name: interval for name, interval in zip(held, found, strict=True) if interval is not None}


def _scores(table: Table, metric: str) -> dict[str, dict[int, tuple[float, ...]]]:
    """Variant → seed → scores, all of one length: another one is of other data, whatever the record says."""
    held = {row.variant: row.scores(metric) for row in table.all_rows}
    length = _length(held)
    held = {name: {s: v for s, v in scores.items() if len(v) == length} for name, scores in held.items()}
    return {name: scores for name, scores in held.items() if scores}


def _length(held: Mapping[str, Mapping[int, tuple[float, ...]]]) -> int:
    return max((len(values) for scores in held.values() for values in scores.values()), default=0)

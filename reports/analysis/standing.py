"""The standing of a table: places, intervals and differences, each worked out once and handed to whoever shows them.

Candidates stand in the order of the primary metric, the base is their measure, and failures come last. A row's rank is
one more than the number of rows that are significantly better (1, 1, 3). With two seeds or more that is said
of the methods, with one of the trained models; where records lack the scores of their examples, of means.
Two rows are compared on the seeds that both have, so that one with the lower mean over all its seeds may be the better.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from reports.analysis.resampling import Resampler
from reports.analysis.stats import (
    Difference,
    Interval,
    compare_rows,
    compute_intervals,
    compute_seed_interval,
    rank_rows,
)
from reports.analysis.tables import Row, Table
from reports.records.metrics import PRIMARY, Metric, collect_metrics

TIE = 4
"""Decimals to which means must agree to share a rank where nothing more is known."""

Scores = dict[str, dict[int, tuple[float, ...]]]
"""Variant → seed → the examples' values of one metric."""


@dataclass(frozen=True)
class Place:
    """A row's place in its table."""

    row: Row
    rank: int | None
    """1 for the best; `None` for the base, fakes and rows without a result."""
    gain: float | None
    """Primary metric minus the base's; `None` for the base itself and where either is missing."""


class Standing:
    """A table and all that follows from it."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._resamplers: dict[int, Resampler] = {}
        self._resampled: dict[str, Mapping[str, Interval]] = {}
        self._intervals: dict[tuple[str, str], Interval | None] = {}

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric that the table's records can have."""
        return collect_metrics(self.table.records)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Base, ranked candidates, fakes, failures."""
        rows = self.table.rows
        bases = [row for row in self.table.all_rows if row.role == "base"]  # several only where tables are mixed
        scored = [(row, score) for row in rows if row.role != "base" and (score := row.mean(PRIMARY)) is not None]
        scored.sort(key=lambda pair: (-round(pair[1], TIE), pair[0].variant))
        candidates = {row.variant: row for row, _ in scored if row.role == "candidate"}
        ranks = rank_rows(list(candidates), lambda first, second: self._beats(candidates[first], candidates[second]))
        by_rank = sorted(candidates.values(), key=lambda row: ranks[row.variant])  # of equal rank the higher mean first
        places = [Place(base, None, None) for base in bases]
        places += [Place(row, ranks[row.variant], self.gain(row)) for row in by_rank]
        places += [Place(row, None, self.gain(row)) for row, _ in scored if row.role != "candidate"]
        placed = {id(place.row) for place in places}
        return (*places, *(Place(row, None, None) for row in rows if id(row) not in placed))

    @cached_property
    def differences(self) -> Mapping[tuple[str, str], Difference]:
        """Every two rows that have scores of their examples in the primary metric, each pair once: first minus second.

        The base has no seed: its scores count as those of every seed. Of rows that cannot be compared nothing is said.
        """
        import numpy as np

        if self.table.parts:
            return {}
        base = self.table.base.variant if self.table.base else None
        scores = self._scores(PRIMARY)
        every = sorted({seed for name, found in scores.items() for seed in found if name != base})
        if base in scores and every:
            scores[base] = dict.fromkeys(every, next(iter(scores[base].values())))
        if not scores:
            return {}
        seeds = {name: sorted(found) for name, found in scores.items()}
        rows = {name: np.array([found[seed] for seed in seeds[name]]) for name, found in scores.items()}
        return compare_rows(rows, seeds, self._resampler(scores))

    def difference(self, first: str, second: str) -> Difference | None:
        """First variant minus second, `None` where they have no seed in common or no scores."""
        found = self.differences.get((first, second))
        if found is None and (second, first) in self.differences:
            return self.differences[second, first].turned()
        return found

    def difference_from_base(self, row: Row) -> Difference | None:
        """A row minus the base that it is measured by; `None` where there is none, or no scores."""
        base = self.table.base_of(row)
        return self.difference(row.variant, base.variant) if base else None

    def gain(self, row: Row) -> float | None:
        """Primary metric of a row minus that of its base; `None` where either is missing."""
        base, mean = self.table.base_of(row), row.mean(PRIMARY)
        measure = base.mean(PRIMARY) if base else None
        return None if measure is None or mean is None else mean - measure

    def resampled_intervals(self, metric: str) -> Mapping[str, Interval]:
        """Variant → mean and 95% interval over examples and seeds, for the rows whose examples have scores."""
        import numpy as np

        if metric not in self._resampled:
            scores = {} if self.table.parts else self._scores(metric)
            rows = [np.array([found[seed] for seed in sorted(found)]) for found in scores.values()]
            intervals = compute_intervals(rows, self._resampler(scores)) if rows else []
            pairs = zip(scores, intervals, strict=True)
            self._resampled[metric] = {name: interval for name, interval in pairs if interval is not None}
        return self._resampled[metric]

    def interval(self, row: Row, metric: str) -> Interval | None:
        """The 95% interval of a row's mean: over examples and seeds where examples have scores, else over seeds alone.

        It ends where the metric's values do. `None` in a table of what cannot be compared, where nothing varies, and
        for a metric that no record of the table has.
        """
        key = row.variant, metric
        if key not in self._intervals:
            self._intervals[key] = self._compute_interval(row, metric)
        return self._intervals[key]

    def _compute_interval(self, row: Row, metric: str) -> Interval | None:
        if self.table.parts or metric not in self.metrics:
            return None
        found = self.resampled_intervals(metric).get(row.variant) or compute_seed_interval(row.values(metric))
        if found is None:
            return None
        least, most = self.metrics[metric].range
        return dataclasses.replace(found, low=max(found.low, least), high=min(found.high, most))

    def _beats(self, first: Row, second: Row) -> bool:
        """Whether the first row is significantly better than the second."""
        found = self.difference(first.variant, second.variant)
        if found is not None:
            return found.significantly_better
        seeds = [set(row.scores(PRIMARY)) for row in (first, second)]
        if all(seeds) and not set.intersection(*seeds) and not self.table.parts:
            return False  # they could be compared, had they a seed in common
        return round(first.mean(PRIMARY) or 0.0, TIE) > round(second.mean(PRIMARY) or 0.0, TIE)

    def _scores(self, metric: str) -> Scores:
        """Scores of equal length only; another length means other data, whatever the record says."""
        held = {row.variant: row.scores(metric) for row in self.table.all_rows}
        length = _longest(held)
        held = {name: {s: v for s, v in scores.items() if len(v) == length} for name, scores in held.items()}
        return {name: scores for name, scores in held.items() if scores}

    def _resampler(self, scores: Scores) -> Resampler:
        """The draws for so many examples, the same for every metric that has as many."""
        examples = _longest(scores)
        return self._resamplers.setdefault(examples, Resampler(examples))


def _longest(scores: Scores) -> int:
    return max((len(values) for found in scores.values() for values in found.values()), default=0)

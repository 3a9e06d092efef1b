"""Whether the differences of a table are real: in plain words, as a matrix, with intervals, and all pairs as a file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from reports.analysis.standing import Standing
from reports.analysis.stats import Interval
from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import METRICS, PRIMARY, Metric
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid

_MANY = 12
"""Rows from which on the matrix would be wider than a page; the file of all pairs has them."""


def build_chapter(standing: Standing, metrics: Sequence[Metric]) -> Chapter | None:
    """Sentences for neighbours, probabilities of improvement, and intervals of these metrics."""
    if standing.table.parts:  # of rows that cannot be compared there is nothing to say
        return None
    rows = _sort_by_score(standing)
    said = (_describe_pair(standing, a, b) for a, b in itertools.pairwise(rows))
    points = tuple(point for point in said if point)
    grids = [
        (heading, grid)
        for heading, grid in (_build_matrix(standing, rows), _build_intervals(standing, metrics))
        if grid is not None
    ]
    if not (points or grids):
        return None
    return Chapter("Are the differences real?", points, tuple(grids), _list_footnotes(standing, bool(points)))


def _sort_by_score(standing: Standing) -> list[Row]:
    """Candidates and the base, the highest mean first."""
    rows = [place.row for place in standing.places if place.rank is not None or place.row.role == "base"]
    scored = [(mean, row) for row in rows if (mean := row.mean(PRIMARY)) is not None]
    return [row for _, row in sorted(scored, key=lambda pair: (-pair[0], pair[1].variant))]


def _describe_pair(standing: Standing, better: Row, worse: Row) -> str | None:
    found = standing.difference(better.variant, worse.variant)
    if found is None:
        return None
    if found.interval.mean < 0:  # its mean is higher over other seeds than the two have in common
        better, worse, found = worse, better, found.turned()
    interval, title = found.interval, METRICS[PRIMARY].title
    ends = f"95% interval {interval.low:.3f} to {interval.high:.3f}"
    amount = f"{interval.mean:.3f} {title} ({ends}; {_format_p(found.p_shown)})"
    pair = f"{better.variant} and {worse.variant}"
    if found.methods_differ:
        return (
            f"{better.variant} scores significantly higher than {worse.variant}: by {amount}, "
            f"over {interval.seeds} seeds."
        )
    if interval.seeds > 1:
        return (
            f"{pair} are not significantly different: a difference of {amount}, over {interval.seeds} seeds, "
            "may be chance."
        )
    if found.models_differ:
        return (
            f"{pair}: with one seed only these two trained models are significantly different, by {amount}; "
            "trained with another seed, the methods may come out the other way round."
        )
    return f"{pair}: with one seed, not even these two trained models are significantly different: {amount}."


def _format_p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def _build_matrix(standing: Standing, rows: Sequence[Row]) -> tuple[str, Grid | None]:
    heading = "Probability of improvement"
    compared = {name for pair in standing.differences for name in pair}
    rows = [row for row in rows if row.variant in compared]
    if not 2 <= len(rows) <= _MANY:
        return heading, None
    body = [(row.variant, *(_format_improvement(standing, row, other) for other in rows)) for row in rows]
    header = ("over", *(row.variant for row in rows))
    return heading, Grid(header, (False, *(True for _ in rows)), tuple(body))


def _format_improvement(standing: Standing, row: Row, other: Row) -> str:
    found = standing.difference(row.variant, other.variant)
    if found is None:
        return "" if row is not other else "·"
    return f"{found.improvement:.2f}{'*' if found.methods_differ else ''}"


def _build_intervals(standing: Standing, metrics: Sequence[Metric]) -> tuple[str, Grid | None]:
    rows = [row for row in standing.table.all_rows if row.ok]
    columns = [(metric, {row.variant: standing.interval(row, metric.name) for row in rows}) for metric in metrics]
    columns = [(metric, found) for metric, found in columns if any(found.values())]
    if not columns:
        return "", None
    body = [
        (row.variant, *(_format_cell(row, found[row.variant], metric) for metric, found in columns)) for row in rows
    ]
    header = ("method", *(metric.title for metric, _ in columns))
    return "Means, deviations and intervals", Grid(header, (False, *(True for _ in columns)), tuple(body))


def describe_scope(found: Interval) -> str:
    """What an interval of scores is over, in brackets; empty where it is over seeds as well."""
    return " (examples)" if found.seeds < 2 else ""


def _format_cell(row: Row, found: Interval | None, metric: Metric) -> str:
    if found is None:
        return format_value(row.mean(metric.name), metric.unit)
    deviation = "" if found.deviation is None else f" ± {format_value(found.deviation, metric.unit).lstrip('+')}"
    low, high = (format_value(end, metric.unit) for end in (found.low, found.high))
    return f"{format_value(found.mean, metric.unit)}{deviation} [{low}, {high}]{describe_scope(found)}"


def _list_footnotes(standing: Standing, compared: bool) -> tuple[str, ...]:
    pairs, notes = len(standing.differences), []
    if compared:
        several = any(found.interval.seeds > 1 for found in standing.differences.values())
        test = "a paired bootstrap over examples and seeds" if several else "a randomisation test over examples"
        notes.append(
            "Paired on the same examples and on the seeds that both rows have. An interval is of its pair alone; "
            f"p-values, of {test}, count all {pairs} pairs of the table (Holm): an interval may leave out 0 although "
            "the pair is not significantly different. differences.csv has every pair."
        )
        few = len({name for pair in standing.differences for name in pair}) <= _MANY
        notes.append(
            "The probability of improvement is the chance that the row scores higher than the column on an example, "
            "each with any of its seeds; ties count half; * means significantly different."
            if few
            else "The matrix of probabilities of improvement is too wide to be shown; differences.csv has them."
        )
    notes.append(
        "± is the standard deviation over seeds. Intervals are 95% intervals: over examples and seeds; over examples "
        "alone where there is one seed or the row is the base, which says nothing of other seeds; over seeds alone of "
        "what has no value for each example, such as time and memory. What never varies has none."
    )
    return tuple(notes)

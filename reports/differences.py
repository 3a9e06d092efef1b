"""Whether the differences of a table are real: in plain words, as a matrix, with intervals, and all pairs as a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from reports.aggregate import Row, Table
from reports.chapter import Chapter
from reports.format import format_value
from reports.grid import Grid
from reports.metrics import METRICS, PRIMARY, Metric, Unit
from reports.rank import places
from reports.stats import Interval, seed_interval

_MANY = 12
"""Rows from which on the matrix would be wider than a page; the file of all pairs has them."""
COLUMNS = (
    *("table", "metric", "first", "second", "seeds", "difference", "low", "high"),
    *("p", "p_holm", "p_examples", "effect_size", "probability_of_improvement", "told_apart"),
)


def chapter(table: Table, metrics: Sequence[Metric]) -> Chapter | None:
    """Sentences for neighbours, probabilities of improvement, and intervals of these metrics."""
    if table.parts:  # of rows that cannot be compared there is nothing to say
        return None
    rows = _by_score(table)
    said = (_sentence(table, a, b) for a, b in itertools.pairwise(rows))
    points = tuple(point for point in said if point)
    grids = [
        (heading, grid) for heading, grid in (_matrix(table, rows), _intervals(table, metrics)) if grid is not None
    ]
    if not (points or grids):
        return None
    return Chapter("Are the differences real?", points, tuple(grids), _footnotes(table, bool(points)))


def pairs_csv(tables: Sequence[Table]) -> str:
    """Every pair of every table, in the primary metric: differences, intervals and p-values."""
    from reports.csv_table import write_csv

    return write_csv([line for number, table in enumerate(tables, start=1) for line in _lines(number, table)], COLUMNS)


def _by_score(table: Table) -> list[Row]:
    """Candidates and the base, the highest mean first."""
    rows = [place.row for place in places(table) if place.rank is not None or place.row.role == "base"]
    scored = [(mean, row) for row in rows if (mean := row.mean(PRIMARY)) is not None]
    return [row for _, row in sorted(scored, key=lambda pair: (-pair[0], pair[1].variant))]


def _sentence(table: Table, better: Row, worse: Row) -> str | None:
    found = table.verdict.difference(better.variant, worse.variant)
    if found is None:
        return None
    interval, title = found.interval, METRICS[PRIMARY].title
    amount = f"{interval.mean:.3f} {title} (95% interval {interval.low:.3f} to {interval.high:.3f}; {_p(found.p_holm)})"
    pair = f"{better.variant} and {worse.variant}"
    if found.told_apart:
        return f"{better.variant} scores higher than {worse.variant}: by {amount}, over {interval.seeds} seeds."
    if interval.seeds > 1:
        return f"{pair} are not told apart: a difference of {amount}, over {interval.seeds} seeds, may be chance."
    if found.models_told_apart:
        return (
            f"{pair}: with one seed only these two trained models are told apart, by {amount}; "
            "trained with another seed, the methods may come out the other way round."
        )
    return f"{pair}: with one seed, not even these two trained models are told apart: {amount}."


def _p(value: float | None) -> str:
    return "" if value is None else f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def _matrix(table: Table, rows: Sequence[Row]) -> tuple[str, Grid | None]:
    heading = "Probability of improvement"
    rows = [row for row in rows if row.variant in table.verdict.intervals]
    if not 2 <= len(rows) <= _MANY:
        return heading, None
    body = [(row.variant, *(_chance(table, row, other) for other in rows)) for row in rows]
    header = ("over", *(row.variant for row in rows))
    return heading, Grid(header, (False, *(True for _ in rows)), tuple(body))


def _chance(table: Table, row: Row, other: Row) -> str:
    found = table.verdict.difference(row.variant, other.variant)
    if found is None:
        return "" if row is not other else "·"
    return f"{found.improvement:.2f}{'*' if found.told_apart else ''}"


def _intervals(table: Table, metrics: Sequence[Metric]) -> tuple[str, Grid | None]:
    rows = [row for row in table.all_rows if row.ok]
    columns = [(metric, {row.variant: interval(table, row, metric.name) for row in rows}) for metric in metrics]
    columns = [(metric, found) for metric, found in columns if any(found.values())]
    if not columns:
        return "", None
    body = [(row.variant, *(_cell(found[row.variant], metric.unit) for metric, found in columns)) for row in rows]
    header = ("method", *(metric.title for metric, _ in columns))
    return "Means, deviations and intervals", Grid(header, (False, *(True for _ in columns)), tuple(body))


def interval(table: Table, row: Row, name: str) -> Interval | None:
    """The 95% interval of a row's mean: over examples and seeds where examples have scores, else over seeds alone.

    `None` in a table of what cannot be compared.
    """
    if table.parts:
        return None
    found = table.intervals(name).get(row.variant)
    return found or seed_interval(row.values(name))


def _cell(found: Interval | None, unit: Unit) -> str:
    if found is None:
        return ""
    deviation = "" if found.deviation is None else f" ± {format_value(found.deviation, unit).lstrip('+')}"
    low, high = (format_value(end, unit) for end in (found.low, found.high))
    return f"{format_value(found.mean, unit)}{deviation} [{low}, {high}]"


def _footnotes(table: Table, compared: bool) -> tuple[str, ...]:
    one = table.verdict.seeds < 2
    notes = []
    if compared:
        notes.append(
            "Paired on the same examples and seeds; p-values of a paired bootstrap, corrected for all pairs of the "
            "table (Holm). The probability of improvement is the share of examples and seeds on which the row scores "
            "higher than the column, ties counting half; * means told apart."
        )
    where = "examples, and with one seed say nothing of others" if one else "examples and seeds"
    notes.append(
        f"± is the standard deviation over seeds. Intervals are 95% intervals, over {where}; of what has no value for "
        "each example, such as time and memory, over seeds alone."
    )
    return tuple(notes)


def _lines(number: int, table: Table) -> Iterator[dict[str, object]]:
    for (first, second), found in table.verdict.differences.items():
        yield {
            "table": number,
            "metric": PRIMARY,
            "first": first,
            "second": second,
            "seeds": found.interval.seeds,
            "difference": found.interval.mean,
            "low": found.interval.low,
            "high": found.interval.high,
            "p": found.p,
            "p_holm": found.p_holm,
            "p_examples": found.p_examples,
            "effect_size": found.effect,
            "probability_of_improvement": found.improvement,
            "told_apart": found.told_apart,
        }

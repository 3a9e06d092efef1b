"""The part of a report on learning curves: how quality rises with training tokens, and what a given quality costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.details import CurveDetails, read_details
from reports.records.metrics import METRICS, PRIMARY
from reports.records.record import Record
from reports.sections.chapter import Chapter, Figure
from reports.sections.grid import Grid
from reports.svg.curves import Panel, Plot, Point, Series, is_drawable

_TARGETS = ("seconds_to_quality", "tokens_to_quality")
_SCALES = ((1e9, " (billions)"), (1e6, " (millions)"), (1e3, " (thousands)"), (1.0, ""))


def build_chapter(rows: Sequence[Row], file: str) -> Chapter | None:
    """On those rows which have learning curves, `None` where none has; `file` is the plot's."""
    curved = [row for row in rows if any(map(_find_points, row.ok))]
    if not curved:
        return None
    grids = (("", _build_grid(curved)),)
    return Chapter(
        "Learning curves", grids=grids, footnotes=_list_footnotes(curved), figures=(_build_figure(curved, file),)
    )


def _find_points(record: Record) -> list[Mapping[str, float]]:
    """The points of a curve that can be drawn."""
    names = ("step", "tokens", PRIMARY)
    found = [{name: point.get(name) for name in names} for point in record.learning_curve]
    return [{n: v for n, v in p.items() if is_drawable(v)} for p in found if all(map(is_drawable, p.values()))]


def _build_figure(rows: Sequence[Row], file: str) -> Figure:
    lines = {row.variant: _average_curves(row) for row in rows}
    most = max(x for line in lines.values() for x, _ in line)
    scale, said = next((scale, said) for scale, said in _SCALES if most >= scale or scale == 1)
    series = tuple(Series(name, tuple((x / scale, y) for x, y in line)) for name, line in lines.items())
    told = [_describe_line(name, line) for name, line in lines.items()]
    panel = Panel("Quality while training", "ROUGE-L (validation)", series)
    caption = "ROUGE-L on validation examples against training tokens."
    if any(len(row.ok) > 1 for row in rows):
        caption += " Lines are means over seeds, evaluation by evaluation."
    description = f"{caption} {' '.join(told)}"
    plot = Plot(f"training tokens{said}", (panel,), description, ("first point", "last point"))
    return Figure("", plot, file, caption)


def _average_curves(row: Row) -> list[Point]:
    """Of the first points of the seeds the mean, of the second ones, and so on as far as all seeds go."""
    curves = [[(p["tokens"], p[PRIMARY]) for p in points] for record in row.ok if (points := _find_points(record))]
    return [
        (statistics.fmean(x for x, _ in points), statistics.fmean(y for _, y in points))
        for points in zip(*curves, strict=False)
    ]


def _describe_line(name: str, line: Sequence[Point]) -> str:
    (first, start), (last, end) = line[0], line[-1]
    return f"{name}: from {start:.3f} at {first:,.0f} tokens to {end:.3f} at {last:,.0f}."


def _build_grid(rows: Sequence[Row]) -> Grid:
    aimed = any(name in record.metrics for row in rows for record in row.ok for name in _TARGETS)
    targets = [METRICS[name].title for name in _TARGETS] if aimed else []
    header = ("method", "points", "best ROUGE-L", "at step", *(["target ROUGE-L"] if aimed else []), *targets)
    return Grid(header, (False, *(True for _ in header[1:])), tuple(_build_line(row, aimed=aimed) for row in rows))


def _build_line(row: Row, *, aimed: bool) -> tuple[str, ...]:
    curves = [points for record in row.ok if (points := _find_points(record))]
    best = [max(points, key=lambda point: point[PRIMARY]) for points in curves]
    cells = (
        row.variant,
        _format_range([len(points) for points in curves]),
        format_value(statistics.fmean(point[PRIMARY] for point in best), "score"),
        _format_range([point["step"] for point in best]),
    )
    if not aimed:
        return cells
    wanted = [value for record in row.ok if (value := _read_curve(record).target_quality) is not None]
    return (*cells, _format_range(wanted), *(_describe_target(row, name) for name in _TARGETS))


def _describe_target(row: Row, name: str) -> str:
    """The mean over the seeds that got there, and how many did where not all of them."""
    asked, values = sum(name in record.metrics for record in row.ok), row.values(name)
    if not asked:
        return ""
    if not values:
        return "not reached"
    some = f" ({len(values)} of {asked} seeds)" if len(values) < asked else ""
    return format_value(statistics.fmean(values), METRICS[name].unit) + some


def _format_range(values: Sequence[float]) -> str:
    """One value, or the smallest and the largest."""
    return " to ".join(f"{value:g}" for value in sorted({min(values), max(values)})) if values else ""


def _list_footnotes(rows: Sequence[Row]) -> tuple[str, ...]:
    examples = [n for row in rows for record in row.ok if (n := _read_curve(record).examples) is not None]
    first = f"the first {_format_range(examples)}" if examples else "the first"
    return (
        f"Measured on {first} validation examples, none of which is in the test split; the time of these evaluations "
        "is not counted as train time.",
        *(["Best: the mean over seeds of each seed's best point."] if any(len(row.ok) > 1 for row in rows) else []),
    )


def _read_curve(record: Record) -> CurveDetails:
    """What was asked for, as far as the record says."""
    return read_details(record.details).learning_curve or CurveDetails()

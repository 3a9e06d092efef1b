"""The part of a report on trade-offs: which rows are on the Pareto front, what beats the others, and a plot of it."""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis import pareto
from reports.analysis.standing import Standing
from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import PRIMARY, Metric
from reports.sections.chapter import Chapter, Figure
from reports.sections.grid import Grid
from reports.svg.scatter import Dot, Panel, Scatter

FRONT = "on the front"
_RULE = (
    "A row is beaten by another that is at least as good in all of these and better in one. Means are compared, so a "
    "lead counts however small it is."
)


def build_chapter(standing: Standing, chosen: Sequence[Metric] | None, file: str) -> Chapter | None:
    """On these metrics, the usual ones for `None`; nothing where fewer than two candidates have two of them.

    The base is shown for comparison. It needs no training, so it would be on every front.
    """
    rows = [place.row for place in standing.places]
    candidates = [row for row in rows if row.role == "candidate" and row.ok]
    wanted = pareto.choose_usual_metrics(candidates) if chosen is None else chosen
    metrics = [metric for metric in wanted if any(row.mean(metric.name) is not None for row in candidates)]
    points = pareto.find_points(candidates, metrics)
    if len(points) < 2 or len(metrics) < 2:
        return None
    beaten = pareto.find_dominators(points, metrics)
    shown = [row for row in rows if row.role == "base" or row in candidates]
    body = [(row.variant, *_format_cells(row, metrics), _judge(row, standing, metrics, beaten)) for row in shown]
    first, *others = metrics
    base = standing.table.base.mean(first.name) if standing.table.base else None
    panels = tuple(
        Panel(other, first, _build_dots(points, beaten, index), base) for index, other in enumerate(others, start=1)
    )
    front = ", ".join(name for name, by in beaten.items() if not by)
    header = ("method", *(metric.title for metric in metrics), "trade-off")
    grid = Grid(header, (False, *(True for _ in metrics), False), tuple(body))
    plot = Scatter(panels, f"{first.title} against {_join_titles(others)}; on the front: {front}.")
    return Chapter(
        "Trade-offs",
        grids=(("", grid),),
        footnotes=_list_footnotes(wanted, metrics, chosen is None),
        figures=(Figure("", plot, file, ""),),
    )


def _format_cells(row: Row, metrics: Sequence[Metric]) -> list[str]:
    return [format_value(row.mean(metric.name), metric.unit) for metric in metrics]


def _judge(row: Row, standing: Standing, metrics: Sequence[Metric], beaten: dict[str, tuple[str, ...]]) -> str:
    if row.role == "base":
        return "for comparison only"
    if row.variant not in beaten:
        return "not judged: no " + _join_titles([metric for metric in metrics if row.mean(metric.name) is None])
    if by := ", ".join(beaten[row.variant]):
        return f"beaten by {by}"
    over = standing.gain(row) if any(metric.name == PRIMARY for metric in metrics) else None
    return FRONT if over is None or over > 0 else f"{FRONT}, though no better than the base"


def _build_dots(points: dict[str, pareto.Point], beaten: dict[str, tuple[str, ...]], index: int) -> tuple[Dot, ...]:
    return tuple(Dot(name, point[index], point[0], not beaten[name]) for name, point in points.items())


def _list_footnotes(wanted: Sequence[Metric], metrics: Sequence[Metric], usual: bool) -> tuple[str, ...]:
    absent = [metric for metric in wanted if metric not in metrics]
    notes = [_RULE]
    if absent:
        notes.append(f"Left out, because it was not measured: {_join_titles(absent)}.")
    if usual and any(metric.name == "peak_tensor_bytes" for metric in metrics):
        notes.append("Memory is that of live tensors, since resident memory is also that of Python and its libraries.")
    return tuple(notes)


def _join_titles(metrics: Sequence[Metric]) -> str:
    return ", ".join(metric.title for metric in metrics)

"""Pareto fronts: which rows no other row beats in every metric at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from reports.analysis.tables import Row
from reports.errors import MetricError
from reports.records.metrics import METRICS, PRIMARY, Metric

Point = tuple[float, ...]

MEMORY = ("peak_device_allocated_bytes", "peak_tensor_bytes", "peak_host_bytes")
"""What stands for the memory of a method, the first that every row has: the accelerator's where there is one. On a CPU
live tensors are counted to the byte, while most of the resident memory of a small model is Python and its libraries,
the same for every method but for some noise, which would put rows on the front that do not belong there."""


def choose_metrics(names: Sequence[str], known: Mapping[str, Metric]) -> tuple[Metric, ...]:
    """The metrics of these names. Raises `MetricError` for fewer than two different ones, one that is unknown (the
    nearest names are in the sentence), or one that only describes."""
    for name in names:
        if name not in known:
            tradable = [metric.name for metric in known.values() if metric.direction]
            # Not `methods.errors.suggest_names`, since reports import nothing of methods.
            close = difflib.get_close_matches(name, tradable, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(tradable)}"
            raise MetricError(f"unknown metric {name!r} ({hint})")
        if known[name].direction is None:
            raise MetricError(f"{name} only describes: neither more nor less of it is better, so nothing can be traded")
    if len(set(names)) < max(2, len(names)):
        raise MetricError(f"a trade-off needs two or more different metrics (given: {', '.join(names) or 'none'})")
    return tuple(known[name] for name in names)


def choose_usual_metrics(rows: Sequence[Row]) -> tuple[Metric, ...]:
    """Quality against memory, train time and size to ship."""
    return tuple(METRICS[name] for name in (PRIMARY, choose_memory_metric(rows), "train_seconds", "shipped_bytes"))


def choose_memory_metric(rows: Sequence[Row]) -> str:
    """The metric of `MEMORY` that all rows with a result have, or else the one that every machine has."""
    done = [row for row in rows if row.ok]
    return next((name for name in MEMORY if all(row.mean(name) is not None for row in done)), MEMORY[-1])


def find_points(rows: Sequence[Row], metrics: Sequence[Metric]) -> dict[str, Point]:
    """Variant → its means of these metrics; rows that lack one are left out, since nothing is known of their trade."""
    found = {row.variant: [row.mean(metric.name) for metric in metrics] for row in rows}
    return {variant: tuple(v for v in point if v is not None) for variant, point in found.items() if None not in point}


def find_dominators(points: Mapping[str, Point], metrics: Sequence[Metric]) -> dict[str, tuple[str, ...]]:
    """Variant → those that are at least as good in every metric and better in one; the front has none."""
    signs = [1 if metric.direction == "higher" else -1 for metric in metrics]
    turned = {name: tuple(s * v for s, v in zip(signs, point, strict=True)) for name, point in points.items()}
    return {
        name: tuple(other for other, theirs in turned.items() if theirs != mine and _covers(theirs, mine))
        for name, mine in turned.items()
    }


def _covers(theirs: Point, mine: Point) -> bool:
    return all(a >= b for a, b in zip(theirs, mine, strict=True))

"""Finding a metric by name: the table in `harness/metrics/__init__.py`, then entry points of installed packages.

A class is imported only when it is asked for. Entry points live in the group `harness.metrics`; a name that is already
taken is refused with both origins named, and a plugin that cannot be used breaks nothing but itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from harness.errors import MetricError, SpecError
from harness.metrics import METRICS
from harness.metrics.base import MetricPlugin
from methods.errors import nearest
from methods.registry import configured

GROUP = "harness.metrics"


@lru_cache(maxsize=1)
def origins() -> Mapping[str, str]:
    """Name → `module:Class` for every registered metric. Raises `MetricError` for a name taken twice."""
    table = dict(METRICS)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if table.get(point.name, point.value) != point.value:
            raise MetricError(
                f"the metric name {point.name!r} is taken twice: by {table[point.name]} and by {point.value}"
            )
        table[point.name] = point.value
    return table


def get(name: str) -> type[MetricPlugin]:
    """The class of this name. Raises `SpecError` for a name that there is not, `MetricError` for a class of no use."""
    known = origins()
    if name not in known:
        raise SpecError(f"unknown metric {name!r}{nearest(name, known)}; a function of yours is MODULE:FUNCTION")
    module, _, attribute = known[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a plugin's import may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MetricError(f"metric {name!r} ({known[name]}) cannot be imported: {reason}") from error
    return checked(name, found, known[name])


def checked(name: str, found: Any, origin: str) -> type[MetricPlugin]:
    """Return `found` if it is a usable metric class of this name; else raise `MetricError`."""
    if not (isinstance(found, type) and issubclass(found, MetricPlugin)):
        raise MetricError(f"{origin} is not a subclass of harness.metrics.base.MetricPlugin")
    if lacking := getattr(found, "__abstractmethods__", None):
        raise MetricError(f"{origin} does not say what {' and '.join(sorted(lacking))} is")
    if getattr(found, "name", None) != name:
        raise MetricError(f"{origin} is registered as {name!r} but calls itself {getattr(found, 'name', None)!r}")
    if not getattr(found, "summary", ""):
        raise MetricError(f"{origin} has no summary")
    return found


def all_metrics() -> Iterator[tuple[str, type[MetricPlugin] | MetricError]]:
    """Every registered name with its class, or with the error that keeps it from being used."""
    for name in origins():
        try:
            yield name, get(name)
        except MetricError as error:
            yield name, error


def build(name: str, settings: Mapping[str, Any]) -> MetricPlugin:
    """An instance of the metric with these knobs changed. Raises `HarnessError` or `MethodError` with one sentence."""
    cls = get(name)
    return cls(configured("metric", name, cls.Config, settings))

"""Finding a metric by name: the table in `harness/metrics/__init__.py`, entry points of the group `harness.metrics`,
and files that the user names; `methods.catalogue` has the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import MetricError, SpecError
from harness.metrics import METRICS
from harness.metrics.base import MetricPlugin
from methods.catalogue import Catalogue
from methods.errors import nearest
from methods.registry import configured


def get(name: str) -> type[MetricPlugin]:
    """The class of this name. Raises `SpecError` for a name that there is not, `MetricError` for a class of no use."""
    return CATALOGUE.get(name)


def _unknown(name: str) -> SpecError:
    return SpecError(
        f"unknown metric {name!r}{nearest(name, CATALOGUE.origins())}; a function of yours is MODULE:FUNCTION"
    )


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


CATALOGUE = Catalogue("metric", lambda: METRICS, checked, MetricError, _unknown)


def all_metrics() -> Iterator[tuple[str, type[MetricPlugin] | Exception]]:
    """Every registered name with its class, or with the error that keeps it from being used."""
    return CATALOGUE.all()


def build(name: str, settings: Mapping[str, Any]) -> MetricPlugin:
    """An instance of the metric with these knobs changed. Raises `HarnessError` or `MethodError` with one sentence."""
    cls = get(name)
    return cls(configured("metric", name, cls.Config, settings))

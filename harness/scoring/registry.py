"""Finding a metric by name: the table in `harness/scoring/__init__.py`, entry points of the group `harness.metrics`,
and files that the user names; `methods.catalogue` has the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import MetricError, SpecError
from harness.scoring import METRICS
from harness.scoring.base import MetricPlugin
from methods.catalogue import Catalogue, check_class
from methods.errors import suggest_names
from methods.registry import make_config


def get(name: str) -> type[MetricPlugin]:
    """The class of this name. Raises `SpecError` for a name that there is not, `MetricError` for a class of no use."""
    return CATALOGUE.get(name)


def _make_unknown_error(name: str) -> SpecError:
    return SpecError(
        f"unknown metric {name!r}{suggest_names(name, CATALOGUE.origins())}; a function of yours is MODULE:FUNCTION"
    )


def check_metric(name: str, found: Any, origin: str) -> type[MetricPlugin]:
    """Return `found` if it is a usable metric class of this name; else raise `MetricError`."""
    return check_class(name, found, origin, MetricPlugin, MetricError)  # type: ignore[type-abstract]


CATALOGUE = Catalogue("metric", lambda: METRICS, check_metric, MetricError, _make_unknown_error)


def all_metrics() -> Iterator[tuple[str, type[MetricPlugin] | Exception]]:
    """Every registered name with its class, or with the error that keeps it from being used."""
    return CATALOGUE.all()


def build(name: str, settings: Mapping[str, Any]) -> MetricPlugin:
    """An instance of the metric with these knobs changed. Raises `HarnessError` or `MethodError` with one sentence."""
    cls = get(name)
    return cls(make_config("metric", name, cls.Config, settings))

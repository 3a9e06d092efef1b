"""Every number that is reported. Plugins import it from here; it is declared in `reports.records.metrics`."""

from __future__ import annotations

from reports.records.metrics import (
    CHANGES,
    LEARNING_CURVES,
    METRICS,
    PREFERENCE_LEARNING,
    PRIMARY,
    RESERVED,
    Metric,
    Unit,
    collect_metrics,
    find_contested_metrics,
)

__all__ = [
    "CHANGES",
    "LEARNING_CURVES",
    "METRICS",
    "PREFERENCE_LEARNING",
    "PRIMARY",
    "RESERVED",
    "Metric",
    "Unit",
    "collect_metrics",
    "find_contested_metrics",
]

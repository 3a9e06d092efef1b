"""How long, empty, cut off or repetitive the generated texts are: what explains an odd score."""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import METRICS
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid

NAMES = (
    "mean_generated_tokens",
    "empty_outputs_percent",
    "unfinished_outputs_percent",
    "repeated_outputs_percent",
)
NOTE = (
    "Output length is in tokens. Truncated outputs ended at the length limit; repeated ones repeat a "
    "three-word sequence at least three times."
)


def build_chapter(rows: Sequence[Row]) -> Chapter | None:
    """One line a row, means over seeds; `None` where nothing was generated."""
    shown = [row for row in rows if any(row.mean(name) is not None for name in NAMES)]
    if not shown:
        return None
    body = tuple((row.variant, *(format_value(row.mean(name), METRICS[name].unit) for name in NAMES)) for row in shown)
    grid = Grid(("method", *(_format_head(name) for name in NAMES)), (False, *(True for _ in NAMES)), body)
    return Chapter("Outputs", grids=(("", grid),), footnotes=(NOTE,))


def _format_head(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.title} (%)" if metric.unit == "%" else metric.title

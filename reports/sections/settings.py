"""The knobs of a table's methods: what differs between them, and what is the same for all."""

from __future__ import annotations

from typing import Any

from reports.analysis.tables import Table
from reports.sections.grid import Grid


def build_settings_grid(table: Table) -> Grid | None:
    """Knobs that several methods share and that differ in columns of their own; all others in one."""
    rows = [row for row in table.rows if row.records[0].settings]
    if not rows:
        return None
    settings = [row.records[0].settings for row in rows]
    names = sorted({name for held in settings for name in held})
    shared = [name for name in names if sum(name in held for held in settings) > 1]
    columns = [name for name in shared if len({repr(held[name]) for held in settings if name in held}) > 1]
    body = [
        (
            row.variant,
            *(_format_knob(held[name]) if name in held else "" for name in columns),
            ", ".join(f"{name}={_format_knob(held[name])}" for name in sorted(held) if name not in shared),
        )
        for row, held in zip(rows, settings, strict=True)
    ]
    common = ", ".join(
        f"{name}={_format_knob(next(held[name] for held in settings if name in held))}"
        for name in shared
        if name not in columns
    )
    if common:
        body.append(("(the same wherever it applies)", *("" for _ in columns), common))
    header = ("method", *columns, "other settings")
    return Grid(header, (False, *(True for _ in columns), False), tuple(body))


def _format_knob(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as it is typed
    return f"{value:g}" if isinstance(value, float) else str(value)

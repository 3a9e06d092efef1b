"""Leaderboard and records as CSV: raw numbers, empty where nothing was measured, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reports.aggregate import Table, flatten
from reports.metrics import METRICS
from reports.rank import PRIMARY, Place, places
from reports.record import Record

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text cell that begins so would be run as a formula by spreadsheets."""


def leaderboard(tables: Sequence[Table]) -> str:
    """One line a variant and table, in the order of the leaderboard; metrics are means over seeds."""
    rows = [_row(number, table, place) for number, table in enumerate(tables, start=1) for place in places(table)]
    return _csv(rows)


def records(trials: Sequence[Record]) -> str:
    """One line a trial with every field of its record; nested fields have dotted names, lists are JSON.

    Of the training curve only its length is given; the record has it.
    """
    return _csv([_flat(record) for record in trials])


def _row(number: int, table: Table, place: Place) -> dict[str, Any]:
    row = place.row
    record = row.records[0]
    return {
        "table": number,
        "rank": place.rank,
        "variant": row.variant,
        "method": record.method,
        "role": row.role,
        "seeds": len(row.ok),
        "failed": len(row.failed),
        "status": "ok" if row.ok else row.failed[-1].status,
        "gain_rougeL": place.gain,
        "rougeL_deviation": row.deviation(PRIMARY),
        **{name: row.mean(name) for name in METRICS},
        "model": record.model.name,
        "model_revision": record.model.revision,
        "dtype": record.model.dtype,
        "task": record.task.name,
        "task_fingerprint": record.task.fingerprint,
        "budget_unit": record.budget.get("unit"),
        "budget_amount": record.budget.get("amount"),
        "batch_size": record.training.get("batch_size"),
        "accumulation": record.training.get("accumulation"),
        "input_tokens": record.training.get("input_tokens"),
        "target_tokens": record.training.get("target_tokens"),
        "settings": json.dumps(record.settings, sort_keys=True),
        "message": row.failed[-1].message if row.failed else None,
    }


def _flat(record: Record) -> dict[str, Any]:
    fields = dataclasses.asdict(record)
    fields["curve"] = len(record.curve)
    fields["metrics"] = {name: record.metrics.get(name) for name in dict.fromkeys([*METRICS, *record.metrics])}
    return flatten(fields)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    # Records of failed trials lack phases; a column exists when any line has it, in the order of first appearance.
    columns = list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | tuple | Mapping):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value

"""Time and tokens until a model in training reaches a quality, read off its learning curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from harness.request import CurveRequest
from reports.records.details import read_details
from reports.records.metrics import PRIMARY
from reports.records.record import Record


def find_time_to_quality(points: Sequence[Mapping[str, float | None]], target: float) -> dict[str, float | None]:
    """Training time and tokens at the first point whose quality is at least the target; None where none is."""
    first = next((p for p in points if (quality := p.get(PRIMARY)) is not None and quality >= target), {})
    return {"seconds_to_quality": first.get("seconds"), "tokens_to_quality": first.get("tokens")}


def retarget(record: Record, asked: CurveRequest | None) -> Record:
    """A finished record with time and tokens to the quality that is aimed at now, read off the curve that it has."""
    measured = read_details(record.details).learning_curve
    target = asked.target_quality if asked else None
    if not asked or measured is None or measured.target_quality == target:
        return record
    found = {} if target is None else find_time_to_quality(record.learning_curve, target)
    metrics = {name: value for name, value in record.metrics.items() if not name.endswith("_to_quality")}
    details = {**record.details, "learning_curve": {**record.details["learning_curve"], "target_quality": target}}
    return dataclasses.replace(record, metrics={**metrics, **found}, details=details)

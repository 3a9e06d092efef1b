"""The outcome of a trial, and the record made of it. Parent and worker both import this module."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reports.records.decoding import Number, Whole, decode
from reports.records.metrics import Metric
from reports.records.record import Phase, Record, Status

INTERRUPTED = "interrupted; the same command resumes"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended: what the worker (or the launcher, if the worker died) adds to the draft of its record."""

    status: Status
    metrics: Mapping[str, Number | None] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)
    scores: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    curve: tuple[Mapping[str, Number | None], ...] = ()
    learning_curve: tuple[Mapping[str, Number | None], ...] = ()
    declared: Mapping[str, Metric] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    done: Mapping[str, Whole] = field(default_factory=dict)
    """`steps`, `tokens` and `examples` trained."""
    cut: Mapping[str, Whole] = field(default_factory=dict)
    parameters: Whole | None = None
    phase: str | None = None
    step: Whole | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def to_json(self) -> str:
        """One line of JSON. NaN and infinity become null, since they are not measurements."""
        return json.dumps({"event": "outcome", **replace_non_finite(dataclasses.asdict(self))}, allow_nan=False)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Outcome:
        """Read what `to_json` wrote. Raises `RecordError` for anything else."""
        return decode(cls, {key: value for key, value in event.items() if key != "event"})


def format_now() -> str:
    """The time as it stands in a record: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def finish_record(draft: Record, outcome: Outcome) -> Record:
    """Fill the outcome into the draft of a record; the worker's details are added to those of the draft."""
    return dataclasses.replace(
        draft,
        status=outcome.status,
        metrics=outcome.metrics,
        phases=outcome.phases,
        scores=outcome.scores,
        curve=outcome.curve,
        learning_curve=outcome.learning_curve,
        declared=outcome.declared,
        details=merge_details(draft.details, outcome.details),
        training={**draft.training, **outcome.done},
        model=dataclasses.replace(draft.model, parameters=outcome.parameters),
        task=dataclasses.replace(draft.task, cut=outcome.cut),
        phase=outcome.phase,
        step=outcome.step,
        message=outcome.message,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
    )


def merge_details(known: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Details with others added; two mappings of the same name are merged."""
    shared = [name for name in known.keys() & added.keys() if _are_mappings(known[name], added[name])]
    return {**known, **added, **{name: {**known[name], **added[name]} for name in shared}}


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def replace_non_finite(value: Any) -> Any:
    """Replace NaN and infinity in JSON values by null, since they are not measurements."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(item) for item in value]
    return value

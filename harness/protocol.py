"""What crosses between parent and worker: one JSON request in, JSON events out, one line each.

The request comes on standard input. Events go through a pipe of their own, whose number the worker gets on its
command line, so that whatever a library prints to stdout or stderr lands in the trial's log and can break nothing.

    {"event": "phase", "name": "train"}
    {"event": "stage", "name": "warm_start"}
    {"event": "step", "step": 3, "progress": 0.02, "loss": 3.1, "tokens_per_second": 1890.0, "host_bytes": 812646400}
    {"event": "evaluated", "progress": 0.25, "host_bytes": 812646400}
    {"event": "outcome", …}     the last one; the fields of `Outcome`

Code that the harness knows nothing of runs in a worker, and may write to any descriptor: nothing is taken on trust.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.decoding import Number, Whole, decode
from reports.errors import RecordError
from reports.metrics import Metric
from reports.record import Phase, Record, Status

INTERRUPTED = "interrupted; the same command resumes"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended: all that the worker (or, where it died, the launcher) adds to the draft of its record."""

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
        """One line of JSON. NaN and infinity become null: they are no measurements."""
        return json.dumps({"event": "outcome", **_finite(dataclasses.asdict(self))}, allow_nan=False)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Outcome:
        """Read what `to_json` wrote. Raises `RecordError` for anything else."""
        return decode(cls, {key: value for key, value in event.items() if key != "event"})


@dataclass(frozen=True, kw_only=True)
class _Named:
    event: str
    name: str


@dataclass(frozen=True, kw_only=True)
class _Evaluated:
    event: str
    progress: Number
    host_bytes: Whole | None = None


@dataclass(frozen=True, kw_only=True)
class _Step(_Evaluated):
    step: Whole
    loss: Number | None
    tokens_per_second: Number | None = None
    device_bytes: Whole | None = None


_EVENTS = {"phase": _Named, "stage": _Named, "step": _Step, "evaluated": _Evaluated}


def read_event(line: bytes) -> dict[str, Any] | None:
    """The event of a line, with the fields that events of its kind have; `None` for a line that is none."""
    try:
        event: dict[str, Any] = _finite(json.loads(line))
        if event["event"] != "outcome":  # which has a reader of its own
            decode(_EVENTS[event["event"]], event)
    except (ValueError, RecursionError, TypeError, KeyError, RecordError):
        return None
    return event


def finished_record(draft: Record, outcome: Outcome) -> Record:
    """The draft with the outcome in it; of details, the worker's are added to what was known before."""
    return dataclasses.replace(
        draft,
        status=outcome.status,
        metrics=outcome.metrics,
        phases=outcome.phases,
        scores=outcome.scores,
        curve=outcome.curve,
        learning_curve=outcome.learning_curve,
        declared=outcome.declared,
        details=merged(draft.details, outcome.details),
        training={**draft.training, **outcome.done},
        model=dataclasses.replace(draft.model, parameters=outcome.parameters),
        task=dataclasses.replace(draft.task, cut=outcome.cut),
        phase=outcome.phase,
        step=outcome.step,
        message=outcome.message,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
    )


def merged(held: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Details with others added; where both have a mapping under a name, the two become one."""
    both = {name: {**held[name], **told[name]} for name in held.keys() & told if _are_mappings(held[name], told[name])}
    return {**held, **told, **both}


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

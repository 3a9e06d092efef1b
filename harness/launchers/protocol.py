"""The protocol between parent and worker: one JSON request in, JSON events out, one line each.

The request comes on standard input. Events go through a pipe of their own, whose number the worker gets on its
command line, so that what libraries print to stdout or stderr goes to the trial's log and cannot disturb the protocol.

    {"event": "phase", "name": "train"}
    {"event": "stage", "name": "warm_start"}
    {"event": "step", "step": 3, "progress": 0.02, "loss": 3.1, "tokens_per_second": 1890.0, "host_bytes": 812646400}
    {"event": "evaluated", "progress": 0.25, "host_bytes": 812646400}
    {"event": "outcome", …}     the last one; the fields of `Outcome`

Third-party code runs in the worker and may write to any descriptor, so every line is checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from harness.outcome import replace_non_finite
from reports.errors import RecordError
from reports.records.decoding import Number, Whole, decode


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
    """The event of a line, checked to have the fields of its kind; `None` for a line that is not an event."""
    try:
        event: dict[str, Any] = replace_non_finite(json.loads(line))
        if event["event"] != "outcome":  # `Outcome.from_event` reads that one
            decode(_EVENTS[event["event"]], event)
    except (ValueError, RecursionError, TypeError, KeyError, RecordError):
        return None
    return event

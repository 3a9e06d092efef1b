"""The protocol between parent and worker: one JSON request in, JSON events out, one line each.

The request comes on standard input. Events go through a pipe of their own, whose number the worker gets on its
command line, so that what libraries print to stdout or stderr goes to the trial's log and cannot disturb the protocol.

    {"event": "phase", "name": "train"}
    {"event": "stage", "name": "warm_start"}
    {"event": "step", "step": 3, "progress": 0.02, "loss": 3.1, "tokens_per_second": 1890.0, "host_bytes": 812646400}
    {"event": "evaluated", "progress": 0.25, "host_bytes": 812646400}
    {"event": "outcome", …}     the last one; the fields of `Outcome`

`harness.events` has the classes of all but the last. Third-party code runs in the worker and may write to any
descriptor, so every line is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.events import EVENTS, Event
from harness.outcome import Outcome, replace_non_finite
from reports.errors import RecordError
from reports.records.decoding import decode


@dataclass(frozen=True)
class OutcomeLine:
    """The last line: an outcome, whose fields have yet to be checked."""

    fields: Mapping[str, Any]

    def read(self) -> Outcome:
        """The outcome. Raises `RecordError` for fields that are none of an outcome."""
        return Outcome.from_event(self.fields)


def read_event(line: bytes) -> Event | OutcomeLine | None:
    """The event of a line, checked to have the fields of its kind; `None` for a line that is not an event."""
    try:
        fields: dict[str, Any] = replace_non_finite(json.loads(line))
        name = fields.pop("event")
        return OutcomeLine(fields) if name == "outcome" else decode(EVENTS[name], fields)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError, RecordError):
        return None

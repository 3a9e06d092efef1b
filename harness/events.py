"""What a worker tells its parent while a trial runs. Parent and worker both import this module.

Each event is one line of JSON: the fields of its class, and its name under `event`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from harness.outcome import replace_non_finite
from reports.records.decoding import Number, Whole


@dataclass(frozen=True, kw_only=True)
class PhaseEvent:
    """A phase begins."""

    name: str
    """`load`, `train`, `save`, `evaluate` or `score`."""


@dataclass(frozen=True, kw_only=True)
class StageEvent:
    """A stage of the training begins."""

    name: str
    """As the method names it, such as `warm_start`."""


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """An optimiser step was done; not every one is told of."""

    step: Whole
    progress: Number
    """Share of the budget that is used, 0 to 1."""
    loss: Number | None
    tokens_per_second: Number | None = None
    host_bytes: Whole | None = None
    device_bytes: Whole | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationProgress:
    """A part of the examples was answered."""

    progress: Number
    """Share of them that is answered, 0 to 1."""
    host_bytes: Whole | None = None


Event = PhaseEvent | StageEvent | StepProgress | EvaluationProgress

EVENTS: Mapping[str, type[Event]] = {
    "phase": PhaseEvent,
    "stage": StageEvent,
    "step": StepProgress,
    "evaluated": EvaluationProgress,
}
"""Name in a line → class."""


def write_event(event: Event) -> str:
    """One line of JSON. NaN and infinity become null, since they are not measurements."""
    name = next(name for name, kind in EVENTS.items() if isinstance(event, kind))
    return json.dumps({"event": name, **replace_non_finite(dataclasses.asdict(event))})

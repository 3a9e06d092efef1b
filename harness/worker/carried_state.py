"""What a checkpoint holds of a trial besides weights and random numbers: all that was measured so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.records.decoding import Number, Whole


@dataclass(frozen=True, kw_only=True)
class CarriedState:
    """What the process that resumes a trial takes over from the one that was interrupted; JSON values only."""

    started_at: str
    """When the trial began, in its first process."""
    done: Mapping[str, Whole]
    """`steps`, `tokens` and `examples` trained."""
    cut: Mapping[str, Whole]
    """Split → number of examples that were cut to the limits."""
    meter: Mapping[str, Any]
    """`Meter.get_state`."""
    learning_curve: Mapping[str, Any]
    """`LearningCurve.get_state`."""
    metrics: Mapping[str, Number | None]
    """What the method has reported to the observer."""
    details: Mapping[str, Any]
    """What the method and the checkpoint have reported to the observer."""

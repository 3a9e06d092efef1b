"""What a trial tells its parent while it runs: one line of JSON for each event."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, TextIO

from harness.measure.meter import Meter
from harness.outcome import replace_non_finite
from harness.worker.stop_signal import StopSignal
from methods.types import StepEvent

STEP_EVENT_SECONDS = 0.2
"""At most five step events a second are sent; the meter sees every step."""


class EventWriter:
    """Writes events to the pipe. Before each one it ends the trial if that was asked for."""

    def __init__(self, stream: TextIO, meter: Meter, stop: StopSignal) -> None:
        self._stream = stream
        self._meter = meter
        self._stop = stop
        self._last_step_event = 0.0

    def write_phase(self, name: str) -> None:
        """Say that a phase begins."""
        self._write({"event": "phase", "name": name})

    def write_stage(self, name: str) -> None:
        """Say that a stage of the training begins."""
        self._write({"event": "stage", "name": name})

    def write_step(self, event: StepEvent) -> None:
        """Say how far the training is, unless the last such event was sent a moment ago."""
        now = time.monotonic()
        if now - self._last_step_event >= STEP_EVENT_SECONDS or event.progress >= 1:
            self._last_step_event = now
            live = self._meter.read_live_values()
            self._write({"event": "step", "step": event.step, "progress": event.progress, "loss": event.loss, **live})

    def write_evaluated(self, share: float) -> None:
        """Say which share of the examples has been answered."""
        host_bytes = self._meter.read_live_values()["host_bytes"]
        self._write({"event": "evaluated", "progress": share, "host_bytes": host_bytes})

    def _write(self, event: Mapping[str, Any]) -> None:
        self._stop.check()
        self._stream.write(json.dumps(replace_non_finite(event)) + "\n")
        self._stream.flush()

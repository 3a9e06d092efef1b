"""What a trial tells its parent while it runs: one line of JSON for each event."""

from __future__ import annotations

import time
from typing import TextIO

from harness.events import EvaluationProgress, Event, PhaseEvent, StageEvent, StepProgress, write_event
from harness.measure.meter import Meter
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
        self._write(PhaseEvent(name=name))

    def write_stage(self, name: str) -> None:
        """Say that a stage of the training begins."""
        self._write(StageEvent(name=name))

    def write_step(self, event: StepEvent) -> None:
        """Say how far the training is, unless the last such event was sent a moment ago."""
        now = time.monotonic()
        if now - self._last_step_event >= STEP_EVENT_SECONDS or event.progress >= 1:
            self._last_step_event = now
            live = self._meter.read_live_values()
            self._write(
                StepProgress(
                    step=event.step,
                    progress=event.progress,
                    loss=event.loss,
                    tokens_per_second=live.tokens_per_second,
                    host_bytes=live.host_bytes,
                    device_bytes=live.device_bytes,
                )
            )

    def write_evaluated(self, share: float) -> None:
        """Say which share of the examples has been answered."""
        self._write(EvaluationProgress(progress=share, host_bytes=self._meter.read_live_values().host_bytes))

    def _write(self, event: Event) -> None:
        self._stop.check()
        self._stream.write(write_event(event) + "\n")
        self._stream.flush()

"""The learning curve of a trial: quality on validation examples from time to time while it trains.

It costs the trial nothing that is measured (`Meter.aside`) and changes nothing of it: modes of modules and random
numbers are afterwards what they were, so that training goes on as if nobody had looked.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.measure.meter import Meter
from harness.measure.time_to_quality import find_time_to_quality
from harness.request import CurveRequest
from harness.worker.checkpoint import Stop
from harness.worker.evaluate import Evaluator
from methods.types import Example
from reports.records.metrics import PRIMARY

MOST_POINTS = 200
"""When there are so many, every second one is dropped, and the interval doubles."""
_SHARED_PEAKS = ("peak_host_bytes", "peak_device_reserved_bytes")
"""Peaks that see what allocators keep for later; the others see what lives."""

Point = dict[str, float | None]


class LearningCurve:
    """Points of `step`, `tokens`, `seconds`, `loss` and `rougeL`; none where `asked` is None.

    The interval is in steps or tokens.
    """

    def __init__(self, asked: CurveRequest | None, meter: Meter, stop: Stop) -> None:
        self.points: list[Point] = []
        self.measuring = False
        """Whether an evaluation is under way, or has failed."""
        self._asked = asked
        self._every = asked.every.amount if asked else 1.0
        self._last = 0
        """What was done, in the unit of the interval, when the last point was taken."""
        self._spent = 0.0
        self._meter = meter
        self._stop = stop

    def begin(self, evaluator: Evaluator, validation: Sequence[Example]) -> None:
        """Name what evaluates the model that is about to train, and on what."""
        self._evaluator = evaluator
        self._examples = validation[: self._asked.examples] if self._asked else ()

    def after_step(self, done: Mapping[str, int]) -> None:
        """Take a point if a multiple of the interval was passed; `done` counts `steps` and `tokens`."""
        if self._asked is None or self._stop.asked:
            return
        now = done[self._asked.every.unit]
        if now // self._every > self._last // self._every and self._measure(done):
            self._last = now
        if len(self.points) >= MOST_POINTS:
            self.points, self._every = self.points[1::2], 2 * self._every

    def end(self, done: Mapping[str, int]) -> None:
        """Take the last point, unless the last step has one."""
        if self._asked is not None and (not self.points or self.points[-1]["step"] != done["steps"]):
            self._measure(done)

    def _measure(self, done: Mapping[str, int]) -> bool:
        """Add a point; not if the trial is asked to end in the meantime, which then need not wait for it."""
        began, self.measuring, evaluation = time.monotonic(), True, None
        paused = self._evaluator.backend.pause_training(self._evaluator.loaded)
        with self._meter.exclude(), contextlib.suppress(_AbandonedError), paused:
            evaluation = self._evaluator.evaluate(self._examples, self._look)
        self.measuring = False
        self._spent += time.monotonic() - began
        if evaluation is None:
            return False
        values = {"loss": evaluation.metrics.get("heldout_loss"), PRIMARY: evaluation.metrics[PRIMARY]}
        self.points.append(
            {
                "step": done["steps"],
                "tokens": done["tokens"],
                "seconds": self._meter.read_seconds("train"),
                **{name: v if v is not None and math.isfinite(v) else None for name, v in values.items()},
            }
        )
        return True

    def _look(self, share: float) -> None:
        if self._stop.asked:
            self._stop.check()
            raise _AbandonedError

    def metrics(self) -> dict[str, float | None]:
        """Time and tokens to the quality that is aimed at; nothing where none is."""
        target = self._asked.target_quality if self._asked else None
        return {} if target is None else find_time_to_quality(self.points, target)

    def details(self) -> dict[str, Any]:
        """What the record's details say of it beside what was asked for."""
        if self._asked is None:
            return {}
        cost = {"evaluation_seconds": self._spent, "peaks_that_may_include_evaluation": list(_SHARED_PEAKS)}
        return {"learning_curve": cost}

    def state(self) -> dict[str, Any]:
        """All that another process needs to go on, as JSON types."""
        return {"points": self.points, "every": self._every, "last": self._last, "spent": self._spent}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where another process was."""
        self.points, self._every = list(state["points"]), state["every"]
        self._last, self._spent = state["last"], state["spent"]


class _AbandonedError(Exception):
    """The trial was asked to end while it was evaluated."""

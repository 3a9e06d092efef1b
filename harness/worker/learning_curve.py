"""The learning curve of a trial: quality on validation examples from time to time while it trains.

It costs the trial nothing that is measured (`Meter.exclude`) and changes nothing of it: modes of modules and random
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
from harness.worker.evaluation import Evaluator
from harness.worker.stop_signal import StopSignal
from methods.types import Example
from reports.records.details import CurveCost, write_detail
from reports.records.metrics import PRIMARY

MOST_POINTS = 200
"""At this number, every second point is dropped and the interval doubles."""
_SHARED_PEAKS = ("peak_host_bytes", "peak_device_reserved_bytes")
"""Peaks that include memory which an allocator keeps for later use; the other peaks count live memory only."""

Point = dict[str, float | None]


class LearningCurve:
    """Points of `step`, `tokens`, `seconds`, `loss` and the primary metric; none where `asked` is None."""

    def __init__(self, asked: CurveRequest | None, meter: Meter, stop: StopSignal) -> None:
        self.points: list[Point] = []
        self.measuring = False
        """Whether an evaluation is under way, or has failed."""
        self._asked = asked
        self._every = asked.every.amount if asked else 1.0
        self._last = 0
        """Steps or tokens (the unit of the interval) at the last point."""
        self._spent = 0.0
        self._meter = meter
        self._stop = stop

    def begin(self, evaluator: Evaluator, validation: Sequence[Example]) -> None:
        """Set what evaluates the model during training, and the examples."""
        self._evaluator = evaluator
        self._examples = validation[: self._asked.examples] if self._asked else ()

    def after_step(self, done: Mapping[str, int]) -> None:
        """Add a point if a multiple of the interval was passed; `done` counts `steps` and `tokens`."""
        if self._asked is None or self._stop.asked:
            return
        now = done[self._asked.every.unit]
        if now // self._every > self._last // self._every and self._measure(done):
            self._last = now
        if len(self.points) >= MOST_POINTS:
            self.points, self._every = self.points[1::2], 2 * self._every

    def end(self, done: Mapping[str, int]) -> None:
        """Add the last point, unless the last step has one."""
        if self._asked is not None and (not self.points or self.points[-1]["step"] != done["steps"]):
            self._measure(done)

    def _measure(self, done: Mapping[str, int]) -> bool:
        """Add a point and return True; if the trial is asked to end meanwhile, stop evaluating and return False."""
        began, self.measuring, evaluation = time.monotonic(), True, None
        paused = self._evaluator.backend.pause_training(self._evaluator.loaded)
        with self._meter.exclude(), contextlib.suppress(_AbandonedError), paused:
            evaluation = self._evaluator.evaluate(self._examples, self._check_stop)
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

    def _check_stop(self, share: float) -> None:
        if self._stop.asked:
            self._stop.check()
            raise _AbandonedError

    def compute_metrics(self) -> dict[str, float | None]:
        """Time and tokens to the target quality; nothing if there is no target."""
        target = self._asked.target_quality if self._asked else None
        return {} if target is None else find_time_to_quality(self.points, target)

    def describe_cost(self) -> dict[str, Any]:
        """What the curve cost, for the record's details."""
        if self._asked is None:
            return {}
        cost = CurveCost(evaluation_seconds=self._spent, peaks_that_may_include_evaluation=_SHARED_PEAKS)
        return {"learning_curve": write_detail(cost)}

    def get_state(self) -> dict[str, Any]:
        """Everything that another process needs to continue the curve, as JSON types."""
        return {"points": self.points, "every": self._every, "last": self._last, "spent": self._spent}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue the curve of another process."""
        self.points, self._every = list(state["points"]), state["every"]
        self._last, self._spent = state["last"], state["spent"]


class _AbandonedError(Exception):
    """The trial was asked to end during an evaluation."""

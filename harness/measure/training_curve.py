"""The training curve of a trial, thinned to a fixed number of points however long the training is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from methods.types import StepEvent

MOST_POINTS = 200

Point = dict[str, float]


class TrainingCurve:
    """Points of `step`, `progress`, mean `loss`, `learning_rate` and cumulative `tokens`.

    Each point stands for the same number of steps and holds the mean of their losses; when there are too many
    points, neighbours are merged.
    """

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most = most_points
        self._stride = 1
        self._points: list[Point] = []
        self._losses: list[float] = []
        self._last: Point = {}
        self._tokens = 0

    def add(self, event: StepEvent) -> None:
        """Add a step."""
        self._tokens += event.tokens
        self._losses.append(event.loss)
        self._last = {
            "step": event.step,
            "progress": event.progress,
            "loss": sum(self._losses) / len(self._losses),
            "learning_rate": event.learning_rate,
            "tokens": self._tokens,
        }
        if len(self._losses) < self._stride:
            return
        self._points.append(self._last)
        self._losses = []
        if len(self._points) >= self._most:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [{**late, "loss": (early["loss"] + late["loss"]) / 2} for early, late in pairs]
            self._stride *= 2

    def read_points(self) -> list[Point]:
        """The points so far; steps that do not fill a point yet make a last one."""
        return [*self._points, *([self._last] if self._losses else [])]

    def get_state(self) -> dict[str, Any]:
        """The whole curve as JSON types, for a checkpoint."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue the curve of another process."""
        for name in _STATE:
            setattr(self, name, state[name])


_STATE = ("_stride", "_points", "_losses", "_last", "_tokens")

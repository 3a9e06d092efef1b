"""The training curve of a trial, thinned to a fixed number of points however long the training is."""

from __future__ import annotations

from methods.base import StepEvent

MOST_POINTS = 200

Point = dict[str, float | None]


class Curve:
    """Points of `step`, `progress`, mean `loss`, `learning_rate` and cumulative `tokens`.

    Each point stands for the same number of steps and holds the mean of their losses; when there are too many
    points, neighbours are merged.
    """

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most = most_points
        self._stride = 1
        self._points: list[tuple[StepEvent, int, float]] = []  # last event, cumulative tokens, mean loss
        self._losses: list[float] = []
        self._last: StepEvent | None = None
        self._tokens = 0

    def add(self, event: StepEvent) -> None:
        """Take in a step."""
        self._tokens += event.tokens
        self._losses.append(event.loss)
        self._last = event
        if len(self._losses) < self._stride:
            return
        self._points.append((event, self._tokens, _mean(self._losses)))
        self._losses = []
        if len(self._points) >= self._most:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(late[0], late[1], (early[2] + late[2]) / 2) for early, late in pairs]
            self._stride *= 2

    def points(self) -> list[Point]:
        """The points so far; steps that do not fill a point yet make a last one."""
        points = list(self._points)
        if self._losses and self._last is not None:
            points.append((self._last, self._tokens, _mean(self._losses)))
        return [
            {
                "step": event.step,
                "progress": event.progress,
                "loss": loss,
                "learning_rate": event.learning_rate,
                "tokens": tokens,
            }
            for event, tokens, loss in points
        ]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

"""Training throughput from step events: real tokens and examples per second, without warm-up steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from methods.types import StepEvent

WARMUP_STEPS = 3
"""Steps that are not counted: the first ones allocate memory and choose kernels."""


@dataclass
class Throughput:
    """Sums over the steps after the warm-up. For methods with stages, the first step of each stage is left out too.

    Reads the clock once per step, when the step has ended.
    """

    clock: Callable[[], float]
    _steps: int = 0
    _last: float = 0.0
    _tokens: int = field(default=0)
    _examples: int = field(default=0)
    _seconds: float = 0.0
    _stage: str = ""

    def on_step(self, event: StepEvent) -> None:
        """Count a step that has just ended."""
        now, stage, self._stage = self.clock(), self._stage, event.stage
        self._steps += 1
        # The time between two stages, such as sampling pairs or measuring on held-out data, is not training time.
        if self._steps > WARMUP_STEPS and event.stage == stage:
            self._seconds += now - self._last
            self._tokens += event.tokens
            self._examples += event.examples
        self._last = now

    def get_state(self) -> dict[str, float]:
        """The sums, for a checkpoint."""
        return {"tokens": self._tokens, "examples": self._examples, "seconds": self._seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the sums of another process; this process has its own warm-up."""
        self._tokens, self._examples, self._seconds = state["tokens"], state["examples"], state["seconds"]

    @property
    def tokens_per_second(self) -> float | None:
        """Real tokens per second; `None` where no step came after the warm-up."""
        return self._compute_rate(self._tokens)

    @property
    def examples_per_second(self) -> float | None:
        """Examples per second; `None` where no step came after the warm-up."""
        return self._compute_rate(self._examples)

    def _compute_rate(self, amount: int) -> float | None:
        return amount / self._seconds if self._seconds > 0 else None

"""`toy`: a fake method without torch, for tests of the harness. It emits real step events, learns nothing useful, and
is never ranked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from methods.base import Method
from methods.errors import DivergedError, UnsupportedError
from methods.knobs import knob
from methods.types import Setting, StepEvent, TrainingConfig, TrainingJob


@dataclass(frozen=True, kw_only=True)
class ToyConfig(TrainingConfig):
    """Knobs of the fake."""

    seconds_per_step: float = knob(0.0, "Sleep in each step, in seconds.")
    ending: str = knob(
        "ok",
        "How training ends: `ok`, or `error`, `diverged`, `unsupported`, `oom`, to test how endings are reported.",
    )


class Toy(Method):
    """Counts steps on the toy model."""

    name = "toy"
    summary = "torch-free fake for tests; never ranked"
    Config = ToyConfig
    families = ("toy",)
    role = "fake"

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Return the model as it is."""
        return model

    def train(self, job: TrainingJob) -> None:
        """Emit a step event for each step of the budget; the loss falls as 1 / step."""
        endings: dict[str, Callable[[], Exception]] = {
            "error": lambda: RuntimeError("the toy was told to fail"),
            "diverged": lambda: DivergedError(1, float("nan")),
            "unsupported": lambda: UnsupportedError("the toy was told to be unsupported"),
            "oom": MemoryError,
        }
        if self.config.ending in endings:
            raise endings[self.config.ending]()
        step, progress, started = 0, 0.0, job.clock()
        while progress < 1:
            time.sleep(self.config.seconds_per_step)
            step += 1
            job.model.learn()
            progress = job.budget.progress(
                steps=step,
                epochs=step * job.batch_size / len(job.examples),
                tokens=step * job.batch_size * 10,
                seconds=job.clock() - started,
            )
            job.emit(StepEvent(step, min(progress, 1.0), 1 / step, self.config.learning_rate, 80, 40, job.batch_size))

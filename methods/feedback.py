"""What methods that learn from preferences or rewards are given, and to whom staged methods tell how they fare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods.errors import RewardError
from methods.user_functions import FaultError, call, number, place

DERIVED_NOTE = "derived preferences, no human judged them"

Score = Callable[[Sequence[str], Sequence[str], Sequence[tuple[str, ...]]], Sequence[float]]
"""(prompts, responses, references of each) → one finite number for each response; higher is better."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One comparison: of two responses to a prompt, the one that is preferred."""

    id: str
    prompt: str
    """What stands in the place of an example's `input`: the task's phrasing is put around it."""
    chosen: str
    rejected: str
    origin: str = "given"
    """`given` by a file, or how the rejected response was derived: `sample`, `swapped`, `fact`, `other`, `cut`,
    `repeated`."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A named way to score responses. Foreign code may be behind it, so that each result is checked."""

    name: str
    score: Score

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str], references: Sequence[tuple[str, ...]]
    ) -> list[float]:
        """One finite number for each response; higher is better.

        Raises `RewardError` with the reason and the sample that caused it. Want of memory passes through as it is.
        """
        samples = list(zip(prompts, responses, references, strict=True))
        try:
            return call(self.score, samples, number)
        except FaultError as fault:
            where = place(fault, "sample", samples, ("prompt", "response"))
            raise RewardError(f"the reward {self.name!r} {fault} {where}") from (fault.__cause__ or fault)


@dataclass(frozen=True)
class Feedback:
    """Judgements on responses, beyond the reference texts."""

    preferences: tuple[Preference, ...] = ()
    """Given pairs to learn from; empty where pairs are to be derived."""
    heldout: tuple[Preference, ...] = ()
    """Given pairs to measure on; they share no prompt with `preferences`."""
    reward: Scorer | None = None
    """Replaces the learned reward model."""
    quality: Scorer | None = None
    """The task's own metric (ROUGE-L): tells whether a reward is being hacked."""
    start: Path | None = None
    """What the trial shipped that `Method.starts_from` names; None where there is none."""


class Observer:
    """Takes what a staged method tells. This one takes it in silence; the worker's measures and records it."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measure what happens inside as a stage of training, with time and memory of its own."""
        return contextlib.nullcontext()

    def metrics(self, values: Mapping[str, float | None]) -> None:
        """Numbers for the record, by names that `reports.metrics` declares."""

    def details(self, values: Mapping[str, Any]) -> None:
        """JSON values for the record's `details`; a mapping under a name that is there already is merged into it."""

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows for people to inspect, such as pairs or samples; kept as JSONL beside the predictions."""

    def keep(self, name: str) -> AbstractContextManager[Path | None]:
        """Give a folder to write a stage's model into, or None where models are not to be kept."""
        return contextlib.nullcontext()

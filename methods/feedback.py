"""Preferences and rewards that methods can learn from, and the observer that methods in stages report to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods.checked_calls import FaultError, call_checked, describe_place, read_number
from methods.errors import RewardError

DERIVED_NOTE = "derived preferences, no human judged them"

Score = Callable[[Sequence[str], Sequence[str], Sequence[tuple[str, ...]]], Sequence[float]]
"""(prompts, responses, references of each) → one finite number for each response; higher is better."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Two responses to one prompt: the preferred one and the rejected one."""

    id: str
    prompt: str
    """Takes the place of an example's `input`: the task's phrasing is put around it."""
    chosen: str
    rejected: str
    origin: str = "given"
    """`given` by a file, or how the rejected response was derived: `sample`, `swapped`, `fact`, `other`, `cut`,
    `repeated`."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A named function that scores responses. It may be a user's function, so each result is checked."""

    name: str
    score: Score

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str], references: Sequence[tuple[str, ...]]
    ) -> list[float]:
        """One finite number for each response; higher is better.

        Raises `RewardError` with the reason and the sample that caused it. Out-of-memory errors
        are raised unchanged.
        """
        samples = list(zip(prompts, responses, references, strict=True))
        try:
            return call_checked(self.score, samples, read_number)
        except FaultError as fault:
            where = describe_place(fault, "sample", samples, ("prompt", "response"))
            raise RewardError(f"the reward {self.name!r} {fault} {where}") from (fault.__cause__ or fault)


@dataclass(frozen=True)
class Feedback:
    """Judgements on responses, beyond the reference texts."""

    preferences: tuple[Preference, ...] = ()
    """Given pairs to learn from; empty if pairs have to be derived."""
    heldout: tuple[Preference, ...] = ()
    """Given pairs to measure on; they share no prompt with `preferences`."""
    reward: Scorer | None = None
    """Replaces the learned reward model."""
    quality: Scorer | None = None
    """The task's own metric (ROUGE-L), which shows reward hacking."""
    start: Path | None = None
    """Folder with the result of the trial that `Method.starts_from` names; None if there is none."""


class Observer:
    """Receives what a method in stages reports. This class ignores it; the worker's subclass records it."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measure time and memory of what happens in this context, as one stage of the training."""
        return contextlib.nullcontext()

    def metrics(self, values: Mapping[str, float | None]) -> None:
        """Add numbers to the record, under names that `reports.metrics` declares."""

    def details(self, values: Mapping[str, Any]) -> None:
        """Add JSON values to the record's `details`. A mapping is merged into one of the same name."""

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Save rows for people to inspect, such as pairs or samples, as JSONL beside the predictions."""

    def keep(self, name: str) -> AbstractContextManager[Path | None]:
        """Give a folder to save a stage's model in, or None if models are not to be saved."""
        return contextlib.nullcontext()

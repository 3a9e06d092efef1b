"""What methods that learn from preferences or rewards are given, and to whom staged methods tell how they fare."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods.errors import RewardError

DERIVED_NOTE = "derived preferences, no human judged them"

SHOWN = 80
"""Characters of a prompt or response that an error quotes."""

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
        if not samples:
            return []
        try:
            return _scores(self.score, samples)
        except _FaultError as found:
            fault, where = found, f"for {len(samples)} samples together, though for none of them alone"
        if fault.index is None:
            fault = next(_alone(self.score, samples), fault)
        if fault.index is not None:
            prompt, response, _ = samples[fault.index]
            number = f"sample {fault.index + 1} of {len(samples)}"
            where = f"for {number}: prompt {_short(prompt)!r}, response {_short(response)!r}"
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

    def keep(self, name: str) -> Path | None:
        """Folder for a stage's model, or None where models are not to be kept."""
        return None


_Sample = tuple[str, str, tuple[str, ...]]


class _FaultError(Exception):
    """What a score function did wrong, and to which sample; `index` is None where that is not known."""

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.index = index


def _scores(score: Score, samples: Sequence[_Sample]) -> list[float]:
    """Call the function and check what it returns. Raises `_FaultError`."""
    prompts, responses, references = (list(part) for part in zip(*samples, strict=True))
    index = 0 if len(samples) == 1 else None
    try:
        found: Any = score(prompts, responses, references)
        unordered = isinstance(found, str | bytes | Mapping | Set) or not isinstance(found, Iterable)
        values = [] if unordered else list(found)
    except (Exception, SystemExit) as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise  # the machine's fault, and an ending of its own
        reason = " ".join(str(error).split())[:200]
        raise _FaultError(f"raised {type(error).__name__}{': ' if reason else ''}{reason}", index) from error
    if unordered:
        raise _FaultError(f"returned {_kind(found)} instead of a sequence of numbers", index)
    if len(values) != len(samples):
        raise _FaultError(f"returned {len(values)} numbers instead of {len(samples)}", index)
    return [_number(value, place) for place, value in enumerate(values)]


def _number(value: Any, index: int) -> float:
    reason = f"returned {_kind(value)} instead of a number"
    if isinstance(value, str | bytes):  # which float() would read
        raise _FaultError(reason, index)
    try:
        number = float(value)
    except Exception as error:  # a tensor of several numbers, or whatever else a function may return
        raise _FaultError(reason, index) from error
    if not math.isfinite(number):
        raise _FaultError(f"returned {number}", index)
    return number


def _alone(score: Score, samples: Sequence[_Sample]) -> Iterator[_FaultError]:
    """The faults of samples that are scored alone."""
    for index, sample in enumerate(samples):
        try:
            _scores(score, [sample])
        except _FaultError as fault:
            fault.index = index
            yield fault


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"

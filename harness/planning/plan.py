"""Trials and their order. `harness.planning.planner` makes them of a spec, before any worker starts.

Each trial carries a draft of its record, complete but for the outcome, so that whatever becomes of the worker the
parent can write a record that says what was tried. The base model comes first and once per (model, task).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SpecError
from harness.feedback.given_feedback import GivenFeedback
from harness.hashing import hash_content
from harness.request import ModelSource, Split, TrialRequest
from harness.spec.variants import Variant
from harness.tasks import Task
from methods.base import Method
from reports.records.record import Record, Status

BASE = Variant(method="base")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One (model, task, variant, seed), ready to run."""

    draft: Record
    """The record as it stands before the trial; the outcome is filled in later."""
    request: TrialRequest
    """What the worker is told."""
    refused: tuple[Status, str] | None = None
    """How a trial ends that is recorded and not started, and why: the method cannot serve this model, or the like."""
    start: str | None = None
    """Id of the trial, earlier in the plan, that this one goes on from."""

    @property
    def trial_id(self) -> str:
        """Content hash, 16 hex digits."""
        return self.draft.trial_id

    @property
    def label(self) -> str:
        """How the trial is called on screen."""
        if self.draft.role == "base":
            return self.draft.variant
        return f"{self.draft.variant} seed {self.draft.seed}" + (" (search)" if self.draft.split != "test" else "")


@dataclass(frozen=True)
class Choice:
    """What a search has chosen for a variant; without one, the variant as it stands."""

    variant: Variant
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """What the record says of the search."""
    refused: tuple[Status, str] | None = None
    """Where no try ended ok."""

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Another search makes another trial, even where it chose the same."""
        return {"tuning": self.tuning} if self.tuning else {}

    def request(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Nothing: what was chosen is in the knobs."""
        return {}

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """What was searched and chosen."""
        return {"tuning": self.tuning} if self.tuning else {}


CHOSEN = Choice(BASE)
"""No search."""


@dataclass(frozen=True)
class Plan:
    """All trials of a spec, in the order in which they run; one that another goes on from comes before it."""

    trials: tuple[Trial, ...]
    task: Task
    model: ModelSource
    given: GivenFeedback
    device: str
    dtype: str


def in_order(variants: Sequence[Variant], starts: Mapping[str, str | None]) -> list[tuple[Variant, str | None]]:
    """Each variant with the name of the one that it goes on from, which comes before it; else the order is kept.

    Raises `SpecError` for a start that is not in the run, and for variants that wait for each other.
    """
    known = {variant.name: variant for variant in variants}
    placed: dict[str, Variant] = {}

    def place(name: str, waiting: tuple[str, ...]) -> None:
        start = starts[name]
        if name in waiting:
            raise SpecError(f"{' starts from '.join((*waiting, name))}: no variant can start from itself")
        if start is not None and start not in known:
            raise SpecError(
                f"{name} starts from {start!r}, which is not among the methods of this run; add {start} to --methods"
            )
        if start is not None and start not in placed:
            place(start, (*waiting, name))
        placed.setdefault(name, known[name])

    for variant in variants:
        place(variant.name, ())
    return [(variant, starts[name]) for name, variant in placed.items()]


def refuse_twins(trials: Sequence[Trial]) -> None:
    """Raise `SpecError` for two variants that are the same once all knobs are filled in."""
    seen: dict[str, str] = {}
    for draft in (trial.draft for trial in trials):
        key = hash_content([draft.method, dict(draft.settings), draft.seed])
        if key in seen:
            raise SpecError(f"the variants {seen[key]!r} and {draft.variant!r} are the same; leave one out")
        seen[key] = draft.variant

"""The trials of a run and their order. `harness.planning.planner` makes them from a spec, before any worker starts.

Each trial has a draft of its record, complete except for the outcome, so that the parent can write a full record even
if the worker dies. The base model comes first, once for each (model, task).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.feedback.given_feedback import GivenFeedback
from harness.hashing import hash_content
from harness.request import ModelSource, RequestPart, Split, TrialRequest
from harness.scoring.selection import SelectedMetrics
from harness.spec.variants import Variant
from harness.tasks import Task
from methods.base import Method
from reports.records.details import SearchDetails, write_detail
from reports.records.record import Record, Status

BASE = Variant(method="base")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One (model, task, variant, seed), ready to run."""

    draft: Record
    """The record without an outcome, which is filled in after the trial."""
    request: TrialRequest
    """The request that the worker gets."""
    refused: tuple[Status, str] | None = None
    """Status and message of a trial that is recorded without being started, for example if the method does not support
    the model."""
    start: str | None = None
    """Id of the trial, earlier in the plan, from whose result this one starts."""

    @property
    def trial_id(self) -> str:
        """Hash of the trial's content, 16 hex digits."""
        return self.draft.trial_id

    @property
    def label(self) -> str:
        """The name of the trial on screen."""
        if self.draft.role == "base":
            return self.draft.variant
        return f"{self.draft.variant} seed {self.draft.seed}" + (" (search)" if self.draft.split != "test" else "")


@dataclass(frozen=True)
class VariantChoice:
    """A variant with the knobs that a search chose for it; without a search, the variant unchanged."""

    variant: Variant
    tuning: SearchDetails | None = None
    """The record's description of the search."""
    refused: tuple[Status, str] | None = None
    """Status and message if no try of the search ended ok."""

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The search: a different search makes a different trial, even if it chose the same knobs."""
        return {"tuning": write_detail(self.tuning)} if self.tuning else {}

    def request(self, method: Method, split: Split) -> RequestPart:
        """Nothing: the chosen values are in the knobs."""
        return RequestPart()

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The search and what it chose."""
        return {"tuning": write_detail(self.tuning)} if self.tuning else {}


NO_CHOICE = VariantChoice(BASE)
"""For trials without a search."""


@dataclass(frozen=True)
class Plan:
    """All trials of a spec in the order in which they run; a trial comes after the one from which it starts."""

    trials: tuple[Trial, ...]
    task: Task
    model: ModelSource
    given: GivenFeedback
    metrics: SelectedMetrics
    device: str
    dtype: str


def order_variants(variants: Sequence[Variant], starts: Mapping[str, str | None]) -> list[tuple[Variant, str | None]]:
    """Each variant with the name of the one from which it starts, which comes before it; otherwise the order is kept.

    Raises `SpecError` if a start is not in the run, or if variants start from each other in a circle.
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


def refuse_duplicates(trials: Sequence[Trial]) -> None:
    """Raise `SpecError` if two variants are the same after all defaults are filled in."""
    seen: dict[str, str] = {}
    for draft in (trial.draft for trial in trials):
        key = hash_content([draft.method, dict(draft.settings), draft.seed])
        if key in seen:
            raise SpecError(f"the variants {seen[key]!r} and {draft.variant!r} are the same; leave one out")
        seen[key] = draft.variant

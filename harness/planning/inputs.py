"""What a trial is given besides model, data and variant: each input has a part in its id, request and record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.request import CurveRequest, Split
from methods.base import Method
from methods.types import Budget
from reports.records.details import CurveDetails, write_detail


class TrialInput(Protocol):
    """One input. Each function is told the trial's method and the split on which it is evaluated.

    A try of a search is evaluated on `validation`, and measures no more than the search needs. Where a trial has no use
    for an input, its parts are empty.
    """

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """This input's part of the trial id, as JSON types."""

    def request(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Fields of the `TrialRequest`."""

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """What the record's details keep of it, as JSON types."""


@dataclass(frozen=True)
class Curve:
    """The learning curve that is asked for, if any."""

    asked: CurveRequest | None

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Interval and examples: a record without a curve does not serve a request for one. A target is only held
        against the curve that is there."""
        curve = self._choose(method, split)
        return {"learning_curve": [write_budget(curve.every), curve.examples]} if curve else {}

    def request(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The curve."""
        return {"learning_curve": self._choose(method, split)}

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """What was asked for."""
        curve = self._choose(method, split)
        if curve is None:
            return {}
        asked = CurveDetails(every=str(curve.every), examples=curve.examples, target_quality=curve.target_quality)
        return {"learning_curve": write_detail(asked)}

    def _choose(self, method: Method, split: Split) -> CurveRequest | None:
        return self.asked if method.trains and split == "test" else None


@dataclass(frozen=True)
class Start:
    """The trial whose result this one goes on from, if any."""

    trial_id: str | None

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Its id, so that another start makes another trial."""
        return {"start": self.trial_id} if self.trial_id else {}

    def request(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Nothing yet: where its result lies is known when the trial is about to begin."""
        return {}

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Its id."""
        return {"warm_start": {"trial_id": self.trial_id}} if self.trial_id else {}


def merge_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The parts of all inputs as one mapping; no two of them speak of the same thing."""
    merged: dict[str, Any] = {}
    for part in parts:
        if shared := merged.keys() & part.keys():
            raise ValueError(f"two inputs of a trial both say what {', '.join(sorted(shared))} is")
        merged.update(part)
    return merged


def write_budget(budget: Budget) -> dict[str, Any]:
    """A budget or an interval as a record has it."""
    return {"unit": budget.unit, "amount": budget.amount}

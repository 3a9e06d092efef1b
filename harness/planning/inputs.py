"""The inputs of a trial besides model, data and variant: each has a part in the trial's id, request and record."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.request import CurveRequest, RequestPart, Split, TrialRequest
from methods.base import Method
from methods.types import Budget
from reports.records.details import CurveDetails, StartDetails, write_detail


class TrialInput(Protocol):
    """One input. Each function gets the trial's method and the split on which it is evaluated.

    A try of a search is evaluated on `validation`, and measures only what the search needs. If a trial does not use an
    input, its parts are empty.
    """

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """This input's part of the trial id, as JSON types."""

    def request(self, method: Method, split: Split) -> RequestPart:
        """This input's fields of the `TrialRequest`."""

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """This input's part of the record's details, as JSON types."""


@dataclass(frozen=True)
class CurveInput:
    """The learning curve that the user asked for, if any."""

    asked: CurveRequest | None

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Interval and examples, so that a record without a curve does not answer a request for one. The target quality
        is not part of the id, since it is compared with the curve afterwards."""
        curve = self._choose(method, split)
        return {"learning_curve": [serialize_budget(curve.every), curve.examples]} if curve else {}

    def request(self, method: Method, split: Split) -> RequestPart:
        """The curve."""
        return RequestPart(learning_curve=self._choose(method, split))

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The curve that the user asked for."""
        curve = self._choose(method, split)
        if curve is None:
            return {}
        asked = CurveDetails(every=str(curve.every), examples=curve.examples, target_quality=curve.target_quality)
        return {"learning_curve": write_detail(asked)}

    def _choose(self, method: Method, split: Split) -> CurveRequest | None:
        return self.asked if method.trains and split == "test" else None


@dataclass(frozen=True)
class StartInput:
    """The trial from whose result this one starts, if any."""

    trial_id: str | None

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The id of that trial, since the result depends on it."""
        return {"start": self.trial_id} if self.trial_id else {}

    def request(self, method: Method, split: Split) -> RequestPart:
        """Nothing yet: the path of that result is set just before the trial starts."""
        return RequestPart()

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """The id of that trial."""
        return {"warm_start": write_detail(StartDetails(trial_id=self.trial_id))} if self.trial_id else {}


def merge_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the parts of all inputs. Raises `ValueError` if two inputs have the same key."""
    merged: dict[str, Any] = {}
    for part in parts:
        if shared := merged.keys() & part.keys():
            raise ValueError(f"two inputs of a trial both set {', '.join(sorted(shared))}")
        merged.update(part)
    return merged


def add_parts(request: TrialRequest, parts: Iterable[RequestPart]) -> TrialRequest:
    """The request with what the inputs add. Raises `ValueError` if two inputs set the same field."""
    given = ({name: value for name, value in vars(part).items() if value} for part in parts)
    return dataclasses.replace(request, **merge_parts(given))


def serialize_budget(budget: Budget) -> dict[str, Any]:
    """A budget or an interval as it stands in a record."""
    return {"unit": budget.unit, "amount": budget.amount}

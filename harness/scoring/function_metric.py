"""A function of the user's as a metric: `MODULE:FUNCTION`, looked for in the current directory too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from harness.errors import MetricError
from harness.scoring.base import MetricPlugin, References
from harness.user_code.functions import find_function
from methods.checked_calls import FaultError, read_items
from reports.records.metrics import Metric


class FunctionMetric(MetricPlugin):
    """Calls `function(predictions, references, inputs)`, which returns a number for each example, or a dict of such.

    What it measures is called `MODULE:FUNCTION`, or `MODULE:FUNCTION.KEY` for a dict. The first line of its docstring
    is the formula; an attribute `direction` on it, `higher` or `lower`, says which way is better.
    """

    name = "function"
    summary = "a function of the user's"
    declares = ()

    def __init__(self, text: str) -> None:
        """Import the function. Raises `SpecError` where it cannot be had."""
        super().__init__()
        self._text = text
        self._function, revision = find_function(text, "--metrics")
        self._revision = revision or ""

    @property
    def label(self) -> str:
        """As the user named it."""
        return self._text

    @property
    def revision(self) -> str:
        """The hash of its file."""
        return self._revision

    def check(self) -> None:
        """Raise `MetricError` if the function's `direction` is neither `higher` nor `lower`."""
        self._direction()

    def score(self, predictions: Sequence[str], references: References, inputs: Sequence[str]) -> Any:
        """What the function returns, its columns made into rows."""
        found = self._function(predictions, references, inputs)
        if not isinstance(found, Mapping):
            return [{self._text: value} for value in read_items(found, len(predictions))]
        if not found or not all(isinstance(key, str) and key for key in found):
            raise FaultError("returned a dict whose keys are not names")
        columns = [
            [(f"{self._text}.{key}", value) for value in read_items(values, len(predictions))]
            for key, values in found.items()
        ]
        return [dict(row) for row in zip(*columns, strict=True)]

    def declaration(self, name: str) -> Metric:
        """A number of no unit; the formula is the function's docstring."""
        told = (getattr(self._function, "__doc__", None) or "").strip().partition("\n")[0]
        formula = f"mean over examples: {told or 'as the function returns it'} (file {self._revision or 'unknown'})"
        return Metric(name, name, "score", self._direction(), formula)

    def _direction(self) -> Literal["higher", "lower"] | None:
        given = getattr(self._function, "direction", None)
        if given not in ("higher", "lower", None):
            raise MetricError(f"--metrics {self._text}: its direction is {given!r}; it may be 'higher' or 'lower'")
        return given

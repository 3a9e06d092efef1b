"""A metric script of Hugging Face's `evaluate`: `evaluate:DIR`, `evaluate:FILE.py`, or `evaluate:NAME` on the hub.

Every metric here is a mean over examples, so the script computes each example by itself. For metrics that count over a
whole corpus, such as BLEU, that is another number than the one which `evaluate` gives for all of them together.
Importing `evaluate` takes seconds, so it is imported only where such a metric is used.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast, get_args

from harness.errors import MetricError, SpecError
from harness.names import make_file_name, read_name
from harness.scoring.base import MetricPlugin, References
from harness.tasks.reading import expand_path
from methods.checked_calls import FaultError
from reports.records.metrics import Metric

PREFIX = "evaluate:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""Not `names.read_hub_id`: scripts also have names without an organisation, and no revision."""
Direction = Literal["higher", "lower"]
_INPUTS = ("inputs", "sources")
"""What scripts call the input texts where they look at them too."""


def is_on_hub(text: str) -> bool:
    """Whether a metric of the request is a script on the hub, whose code nobody here has seen."""
    if not text.startswith(PREFIX):
        return False
    place = read_name(text, "metric")[0].removeprefix(PREFIX)
    return _HUB_NAME.fullmatch(place) is not None and not place.endswith(".py") and not Path(place).exists()


class EvaluateScript(MetricPlugin):
    """Calls `compute` of the script for each example; its numbers are called `evaluate:NAME.KEY`.

    Knobs are arguments of `compute`, but for `direction`, which says which way is better.
    """

    name = "evaluate"
    summary = "a metric script of Hugging Face's evaluate"
    declares = ()

    def __init__(self, text: str) -> None:
        """Read name and knobs. Raises `SpecError` for what is neither a path nor a name, or has no such direction."""
        super().__init__()
        name, knobs = read_name(text, "metric")
        self._place = name.removeprefix(PREFIX).strip()
        direction = knobs.pop("direction", None)
        if direction not in get_args(Direction) and direction is not None:
            raise SpecError(f"{PREFIX}{self._place}: direction is {direction!r}; it may be higher or lower")
        self._direction = cast(Direction | None, direction)
        self._arguments = {knob: _parse_knob(value) for knob, value in knobs.items()}

    @property
    def label(self) -> str:
        """The script's name, without its path, and the arguments that it gets."""
        told = "-".join(f"{knob}-{make_file_name(str(value))}" for knob, value in sorted(self._arguments.items()))
        name = self._place if is_on_hub(PREFIX + self._place) else Path(self._place).resolve().stem
        return f"{PREFIX}{make_file_name(name)}" + (f"[{told}]" if told else "")

    @cached_property
    def revision(self) -> str:
        """First 16 hex digits of a SHA-256 over the script, the files that it imports, and the direction."""
        folder = Path(inspect.getfile(type(self._script))).parent  # `evaluate` copies all of them there
        files = [[file.name, file.read_text(encoding="utf-8")] for file in sorted(folder.glob("*.py"))]
        return hashlib.sha256(json.dumps([files, self._direction]).encode()).hexdigest()[:16]

    def check(self) -> None:
        """Raise `MetricError` with one sentence unless the script can be loaded."""
        if not callable(getattr(self._script, "compute", None)):
            raise MetricError(f"the metric {self.label} cannot be used: the script holds no metric")

    def score(self, predictions: Sequence[str], references: References, inputs: Sequence[str]) -> Any:
        """The script's numbers for each example. Raises `FaultError` where they are not the same ones for all."""
        rows = [self._score_one(*sample) for sample in zip(predictions, references, inputs, strict=True)]
        for row in rows:
            if row.keys() != rows[0].keys():
                raise FaultError(f"returned {', '.join(row)} for one example and {', '.join(rows[0])} for another")
        return rows

    def declaration(self, name: str) -> Metric:
        """A number of no unit; what it is stands in the script."""
        formula = (
            f"mean over examples of what the script gives for each of them alone (script {self.revision}, "
            f"evaluate {version('evaluate')})"
        )
        return Metric(name, name, "score", self._direction, formula)

    def _score_one(self, prediction: str, wanted: tuple[str, ...], text: str) -> dict[str, float]:
        """The numbers of one example, against all of its references at once where the script takes several.

        Where it takes one, the best reference counts; it is the first one where nothing says what is better.
        """
        if self._takes_several or self._direction is None:
            return self._compute(prediction, list(wanted) if self._takes_several else wanted[0], text)
        best = max if self._direction == "higher" else min
        rows = [self._compute(prediction, one, text) for one in wanted]
        return {key: best(row.get(key, math.nan) for row in rows) for key in rows[0]}

    def _compute(self, prediction: str, reference: Any, text: str) -> dict[str, float]:
        inputs = {name: [text] for name in _INPUTS if name in self._features}
        found = self._script.compute(predictions=[prediction], references=[reference], **inputs, **self._arguments)
        if not isinstance(found, Mapping):
            raise FaultError("returned no dict of numbers")
        numbers = {str(key): number for key, value in found.items() if (number := _find_number(value)) is not None}
        if not numbers:
            raise FaultError(f"returned no numbers, only {', '.join(map(str, found)) or 'an empty dict'}")
        return {f"{self.label}.{make_file_name(key)}": number for key, number in numbers.items()}

    @cached_property
    def _script(self) -> Any:
        """The loaded script. Raises `MetricError`: there is none, it fails, or the hub does not have it."""
        place = self._find()
        try:
            import evaluate

            return evaluate.load(place, keep_in_memory=True)
        except (Exception, SystemExit) as error:  # a script may raise anything while it is imported
            reason = " ".join(str(error).split())[:200] or "no reason given"
            told = f"{type(error).__name__}: {reason}".replace(f"{Path.cwd()}{os.sep}", "")
            if is_on_hub(PREFIX + self._place):
                offline = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "is it reachable?"
                raise MetricError(
                    f"the metric {self.label} is neither a directory nor a .py file here, and the hub did not give it "
                    f"({offline}): {told}"
                ) from error
            raise MetricError(f"the metric {self.label} cannot be loaded: {told}") from error

    def _find(self) -> str:
        """What `evaluate.load` is given. Raises `SpecError` for a path where no script is."""
        if is_on_hub(PREFIX + self._place):
            return self._place
        if not self._place:
            raise SpecError(f"{PREFIX} needs a script: write {PREFIX}DIR, {PREFIX}FILE.py or {PREFIX}NAME")
        path = expand_path(self._place, "--metrics").resolve()
        script = path / f"{path.name}.py" if path.is_dir() else path
        if not path.exists():
            raise SpecError(f"--metrics {PREFIX}{self._place}: there is no such directory or file")
        if script.suffix != ".py" or not script.is_file():
            wanted = f"has no {script.name}, which would be its script" if path.is_dir() else "is not a Python file"
            raise SpecError(f"--metrics {PREFIX}{self._place} {wanted}")
        return str(script)

    @cached_property
    def _features(self) -> Mapping[str, Any]:
        """The columns that the script takes, of all forms that it knows."""
        known = self._script.features
        forms = known if isinstance(known, list) else [known]
        return {name: [form[name] for form in forms if name in form] for form in forms for name in form}

    @cached_property
    def _takes_several(self) -> bool:
        """Whether an example may have several references: a form of them is a list of texts."""
        from datasets import Value

        return any(not isinstance(form, Value) for form in self._features.get("references", ()))


def _parse_knob(text: str) -> Any:
    """A knob's text as the number, truth value or text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _find_number(value: Any) -> float | None:
    """A number, or the only one of a list, as scripts give that work example by example; `None` for all else."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str | bytes | bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None

"""Selects the metrics of a request: finds and tries them when a run is planned, and computes them in the worker.

The time and memory that a metric takes are not counted for the method.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from harness.errors import HarnessError, MetricError, SpecError
from harness.hashing import hash_class, hash_content
from harness.names import read_name
from harness.request import MetricRequest, RequestPart, Split
from harness.scoring import registry
from harness.scoring.base import MetricPlugin
from harness.scoring.evaluate_script import PREFIX, EvaluateScript
from harness.scoring.function_metric import FunctionMetric
from harness.scoring.rouge import Rouge
from harness.user_code.functions import FUNCTION
from methods.base import Method
from methods.checked_calls import (
    FaultError,
    call_checked,
    describe_place,
    describe_type,
    read_number,
)
from methods.errors import MethodError, describe_error_with_type
from methods.types import Example
from reports.errors import RecordError
from reports.records.decoding import decode
from reports.records.details import ScoringDetails, write_detail
from reports.records.metrics import METRICS, RESERVED, Metric, Unit

_NAME = re.compile(r"[^\W\d][\w.:\[\]-]{0,119}")


@dataclass(frozen=True)
class MetricResult:
    """What one metric gave: its declarations by name, and a row of numbers for each example.

    Where it cannot see any of the references, the rows are empty: there is no value.
    """

    declared: dict[str, Metric]
    rows: list[dict[str, float]]


@dataclass(frozen=True)
class SelectedMetrics:
    """The metrics of a run besides ROUGE, which is measured in any case."""

    texts: tuple[str, ...]
    plugins: tuple[MetricPlugin, ...]
    described: Mapping[Split, ScoringDetails] = field(default_factory=dict)
    """Split → how texts are split into words, and what the metrics cannot see of its references; known when planned."""

    @cached_property
    def revisions(self) -> list[str]:
        """Of each metric a hash over all that its numbers depend on."""
        return [hash_metric(plugin) for plugin in self.plugins]

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Nothing: what is worked out from predictions changes none of them."""
        return {}

    def request(self, method: Method, split: Split) -> RequestPart:
        """The metrics by name and revision; a search goes by ROUGE-L, and measures no more."""
        asked = map(MetricRequest, self.texts, self.revisions)
        return RequestPart(metrics=() if split != "test" else tuple(asked))

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """How the metrics read the references; what code made the scores stands beside them (`scoring`)."""
        return {"scoring": write_detail(self.described[split])} if split in self.described else {}

    def choose(self, split: Split) -> tuple[MetricPlugin, ...]:
        """What is measured on a split: ROUGE, and on the test split all that was asked for."""
        return (Rouge(), *(self.plugins if split == "test" else ()))

    def list_blind_spots(self) -> list[str]:
        """What the metrics cannot see of the test references, in sentences."""
        return list(self.described["test"].blind_spots.values()) if "test" in self.described else []

    def scoring(self, split: Split) -> dict[str, str]:
        """Metric → hash of the code that scores with it, and of what else its numbers depend on."""
        asked = zip((plugin.label for plugin in self.plugins), self.revisions, strict=True)
        return {Rouge.name: hash_metric(Rouge()), **dict(asked if split == "test" else ())}

    def measure(self, examples: Sequence[Example], predictions: Sequence[str]) -> Iterator[MetricResult]:
        """Score the predictions, one metric after another. Raises `MetricError`: metric, reason and example."""
        return (measure(plugin, examples, predictions) for plugin in self.plugins)


def select_metrics(texts: Sequence[str], examples: Sequence[Example]) -> SelectedMetrics:
    """Find the metrics that a spec names and try them on two examples. Raises one sentence for what cannot be used."""
    found = [(text, plugin) for text in texts if (plugin := _find(text)).name != "rouge"]
    made = SelectedMetrics(tuple(text for text, _ in found), tuple(plugin for _, plugin in found))
    taken = set[str]()
    for plugin in made.plugins:
        try:
            names = _try_out(plugin, examples[:2])
        except (HarnessError, MethodError):
            raise
        except Exception as error:  # a plugin is foreign code
            said = describe_error_with_type(error)
            raise MetricError(f"the metric {plugin.name} cannot be used: {said}") from error
        if again := sorted(taken & names):
            raise SpecError(f"two of the metrics measure {again[0]}; leave one out of --metrics")
        taken |= names
    return made


def _try_out(plugin: MetricPlugin, examples: Sequence[Example]) -> set[str]:
    """The names of what the metric measures, once it is known to work as far as that can be seen now."""
    if package := plugin.missing():
        raise SpecError(
            f'the metric {plugin.label} needs the package {plugin.package}: pip install "{package}", or leave it out '
            "of --metrics"
        )
    plugin.check()
    names = {_read_declaration(plugin, metric.name).name for metric in plugin.declares}
    if plugin.light:  # after hours of training a slip in a function would be found too late
        try:
            names |= measure(plugin, examples, [example.target for example in examples]).declared.keys()
        except MetricError as error:
            raise MetricError(f"{error} (it was tried on the references of the data)") from error
    return names


def find_planned_metrics(asked: Sequence[MetricRequest]) -> SelectedMetrics:
    """In the worker: the metrics that `Chosen.request` told of. Raises `MetricError` where one has changed since."""
    found = SelectedMetrics(tuple(metric.text for metric in asked), tuple(_find(metric.text) for metric in asked))
    for plugin, now, planned in zip(found.plugins, found.revisions, asked, strict=True):
        if now != planned.revision:
            raise MetricError(f"the metric {plugin.label} changed after the run was planned; start the run again")
    return found


def measure(plugin: MetricPlugin, examples: Sequence[Example], predictions: Sequence[str]) -> MetricResult:
    """The metric's numbers for each example. Raises `MetricError`, which names metric, reason and example."""
    samples = [
        (prediction, example.input, example.references)
        for prediction, example in zip(predictions, examples, strict=True)
    ]
    declared = {metric.name for metric in plugin.declares}
    spot = plugin.find_blind_spot([wanted for *_, wanted in samples])
    if spot is not None and spot.total:
        return MetricResult({name: _read_declaration(plugin, name) for name in declared}, [{} for _ in samples])

    def read(row: Any) -> dict[str, float]:
        if not isinstance(row, Mapping):
            raise FaultError(f"returned {describe_type(row)} instead of numbers by name")
        if declared and row.keys() != declared:
            raise FaultError(
                f"returned {', '.join(map(str, row)) or 'nothing'} where it declares {', '.join(declared)}"
            )
        return {name: read_number(value) for name, value in row.items()}

    try:
        rows = call_checked(lambda given, inputs, wanted: plugin.score(given, wanted, inputs), samples, read)
    except FaultError as fault:
        where = describe_place(fault, "example", samples, ("prediction", "input"))
        raise MetricError(f"the metric {plugin.label} {fault} {where}") from (fault.__cause__ or fault)
    return MetricResult({name: _read_declaration(plugin, name) for name in rows[0]}, rows)


def _find(text: str) -> MetricPlugin:
    if text.startswith(PREFIX):
        return EvaluateScript(text)
    if FUNCTION.fullmatch(text):
        return FunctionMetric(text)
    return registry.build(*read_name(text, "metric"))


def _read_declaration(plugin: MetricPlugin, name: str) -> Metric:
    """What the metric says of a number of its own. Raises `MetricError` for what reports could not show."""
    metric = plugin.declaration(name)
    if METRICS.get(name) == metric:
        return metric
    if name in METRICS or name in RESERVED or not _NAME.fullmatch(name):
        raise MetricError(
            f"the metric {plugin.label} calls a number {name!r}; give it another name, of letters, digits and ._:-[]"
        )
    if metric.title in {known.title for known in METRICS.values()} or not metric.title.strip():
        raise MetricError(f"the metric {plugin.label} gives {name} the title {metric.title!r}, which is taken or empty")
    try:
        decode(Metric, dataclasses.asdict(metric), name)
    except RecordError as error:
        raise MetricError(
            f"the metric {plugin.label} declares what no report can show: {error}; "
            f"units are {', '.join(get_args(Unit))}, directions higher, lower and None"
        ) from error
    return metric


def hash_metric(plugin: MetricPlugin) -> str:
    """First 16 hex digits of a hash over its code, its declarations and what else its numbers depend on."""
    declared = [dataclasses.asdict(metric) for metric in plugin.declares]
    return hash_content([plugin.label, hash_class(type(plugin), MetricPlugin), plugin.revision, declared])

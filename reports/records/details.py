"""What the harness itself keeps under `details` of a record, as types; other names there belong to methods and plugins.

Plugins may keep what they like, under these names too: what has another shape is read as if it were absent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_type_hints

from reports.errors import RecordError
from reports.records.decoding import Number, Whole, decode

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CurveDetails:
    """The learning curve that was asked for."""

    every: str | None = None
    """Interval, such as `steps=50`."""
    examples: Whole | None = None
    """Validation examples that each point is measured on."""
    target_quality: Number | None = None


@dataclass(frozen=True, kw_only=True)
class CurveCost:
    """What the learning curve took; it stands beside what was asked for."""

    evaluation_seconds: Number
    peaks_that_may_include_evaluation: tuple[str, ...]
    """Peaks that may be those of an evaluation rather than of the training."""


@dataclass(frozen=True, kw_only=True)
class SearchDetails:
    """The search that chose the settings."""

    metric: str | None = None
    split: str | None = None
    tries: Whole | None = None
    failed: Whole | None = None
    seed: Whole | None = None
    space: Mapping[str, str] = field(default_factory=dict)
    """Knob → where it was searched."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """Knob → value."""
    score: Number | None = None
    """Of the chosen setting, on the validation split."""
    score_as_it_stands: Number | None = None
    """Of the first try, the method as it stands."""
    edge: tuple[str, ...] = ()
    """Knobs that were chosen at the edge of where they were searched."""


@dataclass(frozen=True, kw_only=True)
class GeneralTextDetails:
    """The text on which forgetting was measured."""

    name: str | None = None
    fingerprint: str
    passages: Whole | None = None


@dataclass(frozen=True, kw_only=True)
class ScoringDetails:
    """How the metrics read the references."""

    words: Mapping[str, str] = field(default_factory=dict)
    """Metric → how it splits texts into words."""
    blind_spots: Mapping[str, str] = field(default_factory=dict)
    """Metric → what it cannot see of the references, in words."""


@dataclass(frozen=True, kw_only=True)
class RewardDetails:
    """The reward that a method learned from."""

    name: str
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class PairsOrigin:
    """The preference pairs that were given."""

    name: str
    """File name without directory, or hub id."""
    fingerprint: str | None = None
    pairs: Mapping[str, Whole] = field(default_factory=dict)
    """`train` and `heldout` → how many."""
    unusable: Whole | None = None
    """Rows that were left out."""
    note: str | None = None
    """What a reader of results must know: the split made, rows left out."""


@dataclass(frozen=True, kw_only=True)
class PreferencesDetails:
    """The pairs that a method learned from; without a source it derived its own."""

    source: PairsOrigin | None = None


@dataclass(frozen=True, kw_only=True)
class BatchSizes:
    """Examples a forward pass in training, forward passes a step, and examples generated for together."""

    batch_size: Whole
    accumulation: Whole
    eval_batch_size: Whole


@dataclass(frozen=True, kw_only=True)
class OutOfMemoryTry(BatchSizes):
    """A try that ran out of memory."""

    phase: str | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class SmallerBatches:
    """That a trial was done with smaller batches than asked for."""

    tried: tuple[OutOfMemoryTry, ...] = ()
    used: BatchSizes


@dataclass(frozen=True, kw_only=True)
class StartDetails:
    """What a staged method started from; in words the method itself says it, under `from`."""

    trial_id: str | None = None
    """The trial from whose result it started; `None` where it had a warm start of its own."""


@dataclass(frozen=True, kw_only=True)
class ResumedDetails:
    """That a trial went on from a checkpoint."""

    times: Whole
    from_step: Whole
    """The step of the last such checkpoint."""


@dataclass(frozen=True, kw_only=True)
class CheckpointDetails:
    """What went wrong with checkpoints; the trial went on without."""

    set_aside: str | None = None
    """Why it could not be read."""
    not_written: str | None = None
    """Why it could not be written."""


@dataclass(frozen=True, kw_only=True)
class LastMeasurements:
    """The last ones of a worker that ended without an outcome."""

    loss: Number | None = None
    tokens_per_second: Number | None = None
    host_bytes: Whole | None = None
    device_bytes: Whole | None = None


@dataclass(frozen=True, kw_only=True)
class Details:
    """All of them; `None` for what a record does not have."""

    learning_curve: CurveDetails | None = None
    tuning: SearchDetails | None = None
    general_text: GeneralTextDetails | None = None
    scoring: ScoringDetails | None = None
    reward: RewardDetails | None = None
    preferences: PreferencesDetails | None = None
    smaller_batches: SmallerBatches | None = None
    warm_start: StartDetails | None = None
    resumed: ResumedDetails | None = None
    checkpoint: CheckpointDetails | None = None
    last: LastMeasurements | None = None


def read_details(details: Mapping[str, Any]) -> Details:
    """What the harness keeps among the details of a record."""
    return Details(**{name: _read(kind, details.get(name)) for name, kind in _list_kinds().items()})


def write_detail(detail: Any, *, known_only: bool = False) -> dict[str, Any]:
    """One of these types as JSON types, under its fields' names.

    With `known_only` what is `None` is left out, as it is where another part of the same detail may have it.
    """
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(detail).items()
        if not (known_only and value is None)
    }


@functools.cache
def _list_kinds() -> Mapping[str, type]:
    """Name → type of every field of `Details`, without the `None`."""
    return {name: get_args(hint)[0] for name, hint in get_type_hints(Details).items()}


def _read(kind: type[T], value: Any) -> T | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return decode(kind, value, ignore_unknown=True)
    except RecordError:
        return None

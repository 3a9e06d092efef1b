"""The request of a trial: one frozen object, the only thing that the parent sends to a worker, and its parts.

Parent and worker both import this module; of the harness it imports only `errors`. All parts hold only JSON types.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.errors import SpecError
from methods.types import Budget, Family, Limits, ModelFacts
from reports.records.decoding import decode
from reports.records.details import RewardDetails
from reports.records.record import Split as Split

ModelKind = Literal["embedded", "directory", "hub", "wheel", "toy"]


@dataclass(frozen=True)
class ModelSource:
    """Where a model is, and what is known about it before it is loaded."""

    name: str
    """As the user named it; for a directory only the last part of its path."""
    kind: ModelKind
    location: str
    """Local directory with config, safetensors and tokenizer; never written to a record."""
    revision: str | None
    """Commit on the hub, else the first 16 hex digits of the SHA-256 over the directory's files."""
    architecture: str
    family: Family
    context: int | None = None
    """Longest input in tokens, if the architecture has a limit."""
    dtype: str | None = None
    """Compute dtype that the preset recommends."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Method → knobs that the preset recommends."""
    note: str | None = None
    backend: str = "transformers"
    """The back end that loads and runs it: a name in `harness.models.backend.BACKENDS`."""
    device: str | None = None
    """The device that it runs on, if it runs on only one."""
    has_loss: bool = True
    """Whether it can compute the loss of a text."""
    source_language: str | None = None
    """Language of the inputs, in the tokenizer's own name for it; `None` for the tokenizer's default."""
    target_language: str | None = None
    """Language of the targets, likewise."""

    def get_facts(self, device: str) -> ModelFacts:
        """The facts that methods may use before the model is loaded."""
        return ModelFacts(self.name, self.family, self.architecture, device)


@dataclass(frozen=True)
class TaskRequest:
    """The user's choice of data. Raises `SpecError` for values that are wrong for every task."""

    name: str = "embedded"
    data: str | None = None
    """Directory (`dialogsum`, `e2e`) or training file (`file`)."""
    test: str | None = None
    """Test file, only for the task `file`; without it a seeded split is made."""
    input_field: str | None = None
    target_fields: tuple[str, ...] = ()
    """The first field is the training target; the others are additional references in the test set."""
    template: str | None = None
    """A prompt that replaces the task's own prompts; contains `{input}` once."""
    train_examples: int | None = None
    """Use at most this many: the first of a seeded shuffle."""
    validation_examples: int | None = None
    """Use at most so many: a seeded sample in the original order."""
    test_examples: int | None = None
    """Use at most so many: a seeded sample in the original order."""
    split_seed: int = 0
    """Seed of splits and samples. It is independent of the trials' seeds, so that every trial sees the same data."""
    allow_unusable: bool = False
    """Leave out unusable rows even if they are more than 1% of a file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_fields", tuple(self.target_fields))  # JSON knows only lists
        for name in ("train_examples", "validation_examples", "test_examples"):
            amount = getattr(self, name)
            if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int) or amount < 1):
                raise SpecError(f"{format_flag(name)} must be a whole number of at least 1, not {amount!r}")
        if self.template is not None and (count := self.template.count("{input}")) != 1:
            raise SpecError(f"--template must contain {{input}} exactly once; it contains it {count} times")

    def refuse(self, *fields: str) -> None:
        """Raise `SpecError` if any of these fields is set: the task does not use them."""
        for name in fields:
            if getattr(self, name):
                raise SpecError(f"task {self.name!r} takes no {format_flag(name)}; leave it out, or use --task file")


@dataclass(frozen=True)
class PairsSource:
    """A file of preference pairs that the user gave."""

    path: str
    """As the user gave it; never written to a record."""
    fingerprint: str
    """Hash of the pairs, so that the worker can see whether they have changed."""


@dataclass(frozen=True)
class RewardSource:
    """A reward that the user gave, after it was found."""

    name: str
    """Its name in records: `rouge`, `MODULE:FUNCTION`, a hub id, or the last part of a directory's path."""
    kind: Literal["rouge", "function", "model"]
    revision: str | None = None
    """First 16 hex digits of the SHA-256 over the function's source file or the model's files; a hub model's commit."""
    location: str = ""
    """Local directory of a model; never written to a record."""

    def describe(self) -> RewardDetails:
        """What a record keeps of it."""
        return RewardDetails(name=self.name, revision=self.revision)


@dataclass(frozen=True)
class MetricRequest:
    """A metric to measure in addition to ROUGE."""

    text: str
    """As the user named it."""
    revision: str
    """Hash of everything that its numbers depend on, so that the worker can see whether it has changed."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How training examples are batched and truncated; the same for every method."""

    batch_size: int
    """Examples per forward pass."""
    accumulation: int
    """Forward passes per optimiser step."""
    input_tokens: int
    target_tokens: int

    @property
    def effective(self) -> int:
        """Examples per optimiser step."""
        return self.batch_size * self.accumulation

    @property
    def limits(self) -> Limits:
        """The sequence limits."""
        return Limits(self.input_tokens, self.target_tokens)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are generated in evaluation; the same for every method."""

    max_new_tokens: int
    batch_size: int
    """Examples per batch of generation."""
    num_beams: int = 1
    do_sample: bool = False


@dataclass(frozen=True, kw_only=True)
class CurveRequest:
    """The learning curve that the user asked for."""

    every: Budget
    """The interval between two points, in steps or tokens."""
    examples: int
    """Validation examples per point."""
    target_quality: float | None = None
    """The quality for which the time and the tokens until it is reached become metrics."""


@dataclass(frozen=True, kw_only=True)
class RequestPart:
    """What one input of a trial adds to its request: fields of `TrialRequest`. What it leaves empty it does not set."""

    preferences: PairsSource | None = None
    reward: RewardSource | None = None
    general_text: tuple[str, ...] = ()
    metrics: tuple[MetricRequest, ...] = ()
    learning_curve: CurveRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Absolute paths in the run directory that a trial writes to, and the one that it starts from."""

    artifacts: str
    predictions: str
    stages: str
    checkpoint: str
    start: str | None = None
    """The artifacts of the trial from whose result this one starts."""


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
    """Everything that a worker needs to carry out one trial."""

    trial_id: str
    method: str
    settings: Mapping[str, Any]
    """The knobs that differ from the method's defaults."""
    seed: int
    model: ModelSource
    task: TaskRequest
    fingerprint: str
    """Hash of the data when the run was planned."""
    budget: Budget
    training: BatchSettings
    decoding: Decoding
    split: Split = "test"
    """The split that is evaluated; the tries of a search use only `validation`."""
    device: str
    dtype: str
    """Name of the compute dtype."""
    preferences: PairsSource | None = None
    reward: RewardSource | None = None
    general_text: tuple[str, ...] = ()
    """Passages on which forgetting is measured; empty if it is not measured."""
    metrics: tuple[MetricRequest, ...] = ()
    learning_curve: CurveRequest | None = None
    checkpoint_every: Budget | None = None
    """In steps or minutes; `None` for never."""
    plugins: tuple[str, ...] = ()
    """Plugin files, which the worker runs before anything else."""
    on_oom: Literal["record", "halve-batch"] = "record"
    price_per_hour: float | None = None
    save_models: bool = False
    keep_checkpoints: bool = False
    trust_remote_code: bool = False
    places: Places | None = None
    """Set just before the trial starts."""

    def to_json(self) -> str:
        """One line of JSON, which `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> TrialRequest:
        """Read what `to_json` wrote. Raises `RecordError` for another object, `ValueError` for invalid JSON."""
        return decode(cls, json.loads(text))


def format_flag(field: str) -> str:
    """The flag of `run` that sets a key of the request; messages name it, to readers of a YAML file as well."""
    return "--target-field" if field == "target_fields" else f"--{field.replace('_', '-')}"

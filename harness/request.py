"""What a worker is told of a trial: one frozen object, the only thing that crosses to it, and its parts.

Both sides of the process boundary import this module, and of the harness it imports only errors. Every part
holds JSON types only.
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

ModelKind = Literal["embedded", "directory", "hub", "wheel", "toy"]
Split = Literal["test", "validation"]


@dataclass(frozen=True)
class ModelSource:
    """Where a model is and what is known of it."""

    name: str
    """As the user named it; for a directory its last part, never a path."""
    kind: ModelKind
    location: str
    """Local directory with config, safetensors and tokenizer; never goes into a record."""
    revision: str | None
    """Commit on the hub, else the first 16 hex digits of the SHA-256 over the directory's files."""
    architecture: str
    family: Family
    context: int | None = None
    """Most tokens that the model can read, where its architecture has such a limit."""
    dtype: str | None = None
    """Compute dtype that the preset asks for."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Method → knobs that the preset recommends."""
    note: str | None = None
    backend: str = "transformers"
    """What loads and runs it: a name in `harness.models.backend.BACKENDS`."""
    device: str | None = None
    """The only device that it runs on, where there is only one."""
    has_loss: bool = True
    """Whether it can say how likely a text is."""

    def facts(self, device: str) -> ModelFacts:
        """What methods may know before anything is loaded."""
        return ModelFacts(self.name, self.family, self.architecture, device)


@dataclass(frozen=True)
class TaskRequest:
    """The user's choice of data. Raises `SpecError` for values that no task could use."""

    name: str = "embedded"
    data: str | None = None
    """Directory (`dialogsum`, `e2e`) or training file (`file`)."""
    test: str | None = None
    """Test file, for `file` alone; without it a seeded split is made."""
    input_field: str | None = None
    target_fields: tuple[str, ...] = ()
    """The first field is the training target; the others are further references in the test set."""
    template: str | None = None
    """One prompt that replaces the task's own phrasings; holds `{input}` once."""
    train_examples: int | None = None
    """Use at most so many: the first of a seeded shuffle."""
    validation_examples: int | None = None
    """Use at most so many: a seeded sample in the original order."""
    test_examples: int | None = None
    """Use at most so many: a seeded sample in the original order."""
    split_seed: int = 0
    """Seed of splits and samples; the trials' seeds do not touch them, so every trial sees the same data."""
    allow_unusable: bool = False
    """Leave out rows that cannot be used even where they are more than 1% of a file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_fields", tuple(self.target_fields))  # JSON knows only lists
        for name in ("train_examples", "validation_examples", "test_examples"):
            amount = getattr(self, name)
            if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int) or amount < 1):
                raise SpecError(f"{_write_flag(name)} must be a whole number from 1 on, not {amount!r}")
        if self.template is not None and (count := self.template.count("{input}")) != 1:
            raise SpecError(f"--template must hold {{input}} exactly once, where the text goes; found {count}")

    def refuse(self, *fields: str) -> None:
        """Raise `SpecError` if any of these fields is set: the task has no use for it."""
        for name in fields:
            if getattr(self, name):
                raise SpecError(f"task {self.name!r} takes no {_write_flag(name)}; leave it out, or use --task file")


@dataclass(frozen=True)
class PairsSource:
    """Preference pairs that the user gave."""

    path: str
    """As the user gave it; never goes into a record."""
    fingerprint: str
    """What is in them, so that the worker can see whether they have changed."""


@dataclass(frozen=True)
class RewardSource:
    """A reward that the user gave, and that was found."""

    name: str
    """`rouge`, `MODULE:FUNCTION`, a hub id, or a directory's last part: what records call it, never a path."""
    kind: Literal["rouge", "function", "model"]
    revision: str | None = None
    """First 16 hex digits of the SHA-256 over the function's source file or the model's files; a hub model's commit."""
    location: str = ""
    """Local directory of a model; never goes into a record."""

    def facts(self) -> dict[str, Any]:
        """What a record keeps, as JSON types."""
        return {"name": self.name, "revision": self.revision}


@dataclass(frozen=True)
class MetricRequest:
    """A metric to be measured besides ROUGE."""

    text: str
    """As the user named it."""
    revision: str
    """Hash of all that its numbers depend on, so that the worker can see whether it has changed."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How training examples are batched and cut; the same for every method."""

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
    """Examples that are generated for together."""
    num_beams: int = 1
    do_sample: bool = False


@dataclass(frozen=True, kw_only=True)
class CurveRequest:
    """The learning curve that is asked for."""

    every: Budget
    """In steps or tokens."""
    examples: int
    """How many validation examples each point is measured on."""
    target_quality: float | None = None
    """The quality whose time and tokens become metrics."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a trial writes, as absolute paths in the run directory, and where it starts from."""

    artifacts: str
    predictions: str
    stages: str
    checkpoint: str
    start: str | None = None
    """What the trial shipped that this one goes on from."""


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
    """All that a worker needs to carry out one trial."""

    trial_id: str
    method: str
    settings: Mapping[str, Any]
    """The knobs that are not the method's defaults."""
    seed: int
    model: ModelSource
    task: TaskRequest
    fingerprint: str
    """What the data were when the run was planned."""
    budget: Budget
    training: BatchSettings
    decoding: Decoding
    split: Split = "test"
    """What is evaluated; tries of a search see nothing but `validation`."""
    device: str
    dtype: str
    """Name of the compute dtype."""
    preferences: PairsSource | None = None
    reward: RewardSource | None = None
    general_text: tuple[str, ...] = ()
    """Passages on which forgetting is measured; none where it is not."""
    metrics: tuple[MetricRequest, ...] = ()
    learning_curve: CurveRequest | None = None
    checkpoint_every: Budget | None = None
    """In steps or minutes; `None` for never."""
    plugins: tuple[str, ...] = ()
    """Python files whose code runs before anything else."""
    on_oom: Literal["record", "halve-batch"] = "record"
    price_per_hour: float | None = None
    save_models: bool = False
    keep_checkpoints: bool = False
    trust_remote_code: bool = False
    places: Places | None = None
    """Known when the trial is about to start."""

    def to_json(self) -> str:
        """One line of JSON, which `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> TrialRequest:
        """Read what `to_json` wrote. Raises `RecordError` for another object, `ValueError` for no JSON."""
        return decode(cls, json.loads(text))


def _write_flag(field: str) -> str:
    return "--target-field" if field == "target_fields" else f"--{field.replace('_', '-')}"

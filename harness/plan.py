"""From a spec to ordered trials: everything is resolved, checked and hashed here, before any worker starts.

Each trial carries a draft of its record, complete but for the outcome, so that whatever becomes of the worker the
parent can write a record that says what was tried. The base model comes first and once per (model, task).
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.environment import choose_device, choose_dtype, describe
from harness.errors import SpecError
from harness.feedback import Given, given_by
from harness.general.text import GeneralText, load_general_text
from harness.models.source import ModelSource, resolve
from harness.spec import Spec, Variant
from harness.tasks import Task, load_task
from methods import registry
from methods.base import Limits, Method
from reports.record import Environment, ModelInfo, Record, Split, TaskInfo

BASE = Variant(method="base")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One (model, task, variant, seed), ready to run."""

    draft: Record
    """The record as it stands before the trial; the outcome is filled in later."""
    request: Mapping[str, Any]
    """What the worker is told, as JSON types."""
    unsupported: str | None = None
    """Why the method cannot serve this model; such a trial is recorded and not started."""
    start: str | None = None
    """Id of the trial, earlier in the plan, that this one goes on from."""

    @property
    def trial_id(self) -> str:
        """Content hash, 16 hex digits."""
        return self.draft.trial_id

    @property
    def label(self) -> str:
        """How the trial is called on screen."""
        return self.draft.variant if self.draft.role == "base" else f"{self.draft.variant} seed {self.draft.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials of a spec, in the order in which they run; one that another goes on from comes before it."""

    trials: tuple[Trial, ...]
    task: Task
    model: ModelSource
    given: Given
    device: str
    dtype: str


def make_plan(spec: Spec) -> Plan:
    """Resolve model, data, device and variants of a spec. Raises `HarnessError` or `MethodError` with one sentence."""
    task = load_task(spec.task)  # before a model is downloaded: mistakes in the data show at once
    given = given_by(spec, task)
    general = load_general_text(spec.general_text)
    model = resolve(spec.model, trust_remote_code=spec.trust_remote_code)
    limits = _limits(spec, task, model)
    fake = model.family == "toy"  # which has no loss
    device = "cpu" if fake else choose_device(spec.device)
    asked = model.dtype if spec.dtype == "auto" and model.dtype else spec.dtype
    dtype = "float32" if fake else choose_dtype(asked, device)
    environment = describe(device)
    shared = _Shared(spec, model, task, given, GeneralText("none") if fake else general, limits, device, dtype, environment)
    variants = in_order(spec.variants, {variant.name: shared.method(variant).starts_from for variant in spec.variants})
    # Seeds outside, variants inside: an interrupted run has whole comparisons of the first seeds.
    trials = [shared.trial(BASE, 0, None)]
    for seed in spec.seeds:
        of_seed: dict[str, Trial] = {}
        for variant, start in variants:
            of_seed[variant.name] = shared.trial(variant, seed, of_seed[start] if start else None)
        trials += of_seed.values()
    _refuse_twins(trials)
    return Plan(trials=tuple(trials), task=task, model=model, given=given, device=device, dtype=dtype)


def in_order(variants: Sequence[Variant], starts: Mapping[str, str | None]) -> list[tuple[Variant, str | None]]:
    """Each variant with the name of the one that it goes on from, which comes before it; else the order is kept.

    Raises `SpecError` for a start that is not in the run, and for variants that wait for each other.
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


def _refuse_twins(trials: Sequence[Trial]) -> None:
    """Raise `SpecError` for two variants that are the same once all knobs are filled in."""
    seen: dict[str, str] = {}
    for draft in (trial.draft for trial in trials):
        key = content_hash([draft.method, dict(draft.settings), draft.seed])
        if key in seen:
            raise SpecError(f"the variants {seen[key]!r} and {draft.variant!r} are the same; leave one out")
        seen[key] = draft.variant


def preset_settings(model: ModelSource, variant: Variant) -> dict[str, Any]:
    """The knobs that the model's preset recommends for this method, with the user's changes over them."""
    return {**model.settings.get(variant.method, {}), **variant.changed}


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def code_hash(cls: type[Method]) -> str:
    """SHA-256 over the source that a result depends on: the method's class, what it inherits, the shared engine, and
    how models are loaded and evaluated."""
    import methods.base
    import methods.checkpoint
    import methods.encoding
    import methods.feedback
    import methods.loss
    import methods.training

    bases = [base for base in cls.__mro__ if base.__module__ not in ("builtins", "abc")]
    shared = [methods.checkpoint, methods.encoding, methods.loss, methods.training]
    shared += [methods.feedback] if cls.feedback else []
    modules = [*map(inspect.getmodule, bases), *shared]
    files = {Path(module.__file__) for module in modules if module is not None and module.__file__}
    files |= {Path(__file__).parent / name for name in ("evaluate.py", "rouge.py", "models/loading.py", "general/forgetting.py")}
    # A method that is a package of its own is all of its files, those of its relatives too.
    root = Path(methods.base.__file__).parent
    files |= {file for found in files if found.parent.parent == root for file in found.parent.rglob("*.py")}
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: (file.name, file)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _limits(spec: Spec, task: Task, model: ModelSource) -> Limits:
    limits = Limits(
        spec.input_tokens or task.limits.input_tokens,
        spec.target_tokens or task.limits.target_tokens,
    )
    lengths = (limits.input_tokens, limits.target_tokens)
    needed = sum(lengths) if model.family == "decoder-only" else max(lengths)
    if model.context is not None and needed > model.context:
        raise SpecError(
            f"{limits.input_tokens} input and {limits.target_tokens} target tokens do not fit into the "
            f"{model.context} tokens that {model.name} can read; lower --input-tokens or --target-tokens"
        )
    return limits


@dataclass(frozen=True)
class _Shared:
    """What all trials of a spec have in common."""

    spec: Spec
    model: ModelSource
    task: Task
    given: Given
    general: GeneralText
    limits: Limits
    device: str
    dtype: str
    environment: Environment

    def method(self, variant: Variant) -> Method:
        return registry.build(variant.method, preset_settings(self.model, variant))

    def trial(self, variant: Variant, seed: int, start: Trial | None, split: Split = "test") -> Trial:
        spec, task, given = self.spec, self.task, self.given
        method = self.method(variant)
        is_base = method.role == "base"
        facts = self.model.facts(self.device)
        training = {
            "batch_size": spec.batch_size,
            "accumulation": spec.accumulation,
            "input_tokens": self.limits.input_tokens,
            "target_tokens": self.limits.target_tokens,
        }
        decoding = {
            "max_new_tokens": self.limits.target_tokens,
            "num_beams": 1,
            "do_sample": False,
            "batch_size": spec.eval_batch_size,
        }
        budget = {"unit": spec.budget.unit, "amount": spec.budget.amount}
        identity = {
            "model": [self.model.name, self.model.revision, self.dtype],
            "task": [task.fingerprint, list(task.templates)],
            "variant": variant.name,
            "settings": method.settings(),
            "limits": dataclasses.asdict(self.limits),
            "decoding": decoding,
            "code": code_hash(type(method)),
            "device": self.device,
            "versions": dict(self.environment.versions),
            # Neither seed nor budget can change what the untouched model answers.
            **({} if is_base else {"seed": seed, "budget": budget, "training": training}),
            **given.identity(method),
            **self.general.identity(),
            **({"split": split} if split != "test" else {}),
            **({"start": start.trial_id} if start else {}),
        }
        began = {"warm_start": {"trial_id": start.trial_id}} if start else {}
        draft = Record(
            trial_id=content_hash(identity),
            status="error",
            role=method.role,
            variant=variant.name,
            method=variant.method,
            settings=method.settings(),
            changed=dict(variant.changed),
            seed=seed,
            model=ModelInfo(
                name=self.model.name,
                source=self.model.kind,
                revision=self.model.revision,
                architecture=self.model.architecture,
                family=self.model.family,
                parameters=None,
                dtype=self.dtype,
                note=self.model.note,
            ),
            task=TaskInfo(
                name=task.name,
                fingerprint=task.fingerprint,
                examples=_sizes(task),
                unusable=task.unusable,
                templates=tuple(task.templates),
                note=task.note,
            ),
            budget=budget,
            training=training,
            decoding=decoding,
            environment=self.environment,
            split=split,
            details={**given.details(method), **self.general.facts(), **began},
        )
        every = spec.checkpoint_every
        request = {
            "trial_id": draft.trial_id,
            "method": variant.method,
            "settings": preset_settings(self.model, variant),
            "seed": seed,
            "model": dataclasses.asdict(self.model),
            "task": dataclasses.asdict(spec.task),
            "fingerprint": task.fingerprint,
            "budget": budget,
            "training": training,
            "decoding": decoding,
            "general_text": list(self.general.passages),
            "split": split,
            "device": self.device,
            "dtype": self.dtype,
            "trust_remote_code": spec.trust_remote_code,
            "price_per_hour": spec.price_per_hour,
            "save_models": spec.save_models,
            "keep_checkpoints": spec.keep_checkpoints,
            "checkpoint": {"every": every and {"unit": every.unit, "amount": every.amount}, "file": None},
            "on_oom": spec.on_oom,
            **given.request(method),
        }
        return Trial(
            draft=draft,
            request=request,
            unsupported=method.unsupported(facts),
            start=start.trial_id if start else None,
        )


def _sizes(task: Task) -> dict[str, int]:
    splits: dict[str, Sequence[Any]] = {"train": task.train, "validation": task.validation, "test": task.test}
    return {name: len(examples) for name, examples in splits.items()}

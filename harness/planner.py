"""Makes the trials of a spec: all that they have in common is resolved once, and each gets its id and its request."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from harness.environment import choose_device, choose_dtype, describe
from harness.errors import SpecError
from harness.feedback import Given, given_by
from harness.general.text import NONE, GeneralText, load_general_text
from harness.identity import code_hash, content_hash
from harness.metrics.chosen import Chosen, chosen
from harness.models.source import ModelSource, resolve
from harness.plan import BASE, CHOSEN, Choice, Plan, Trial, in_order, refuse_twins
from harness.search_space import Domain, space
from harness.spec import Spec
from harness.tasks import Task, load_task
from harness.variants import Variant
from methods import registry
from methods.base import Method
from methods.types import Limits
from reports.record import Environment, ModelInfo, Record, Split, TaskInfo


def make_plan(spec: Spec) -> Plan:
    """The trials of a spec as it stands. Raises `HarnessError` or `MethodError` with one sentence."""
    return prepare(spec).plan()


def prepare(spec: Spec) -> Planner:
    """Resolve model, data and device of a spec. Raises `HarnessError` or `MethodError` with one sentence."""
    task = load_task(spec.task)  # before a model is downloaded: mistakes in the data show at once
    metrics = chosen(spec.metrics, task.train)
    given = given_by(spec, task)
    general = load_general_text(spec.general_text)
    model = resolve(spec.model, trust_remote_code=spec.trust_remote_code)
    limits = _limits(spec, task, model)
    fake = model.family == "toy"
    device = "cpu" if fake else choose_device(spec.device)
    asked = model.dtype if spec.dtype == "auto" and model.dtype else spec.dtype
    dtype = "float32" if fake else choose_dtype(asked, device)
    general = NONE if fake else general  # a fake has no loss
    return Planner(spec, model, task, given, general, metrics, limits, device, dtype, describe(device))


def preset_settings(model: ModelSource, variant: Variant) -> dict[str, Any]:
    """The knobs that the model's preset recommends for this method, with the user's changes over them.

    A method of which the preset says nothing gets what it says of the nearest one that it is a kind of: `dora` what
    suits `lora`.
    """
    cls = registry.get(variant.method)
    kinds = [str(vars(kind).get("name")) for kind in cls.__mro__]
    advised = next((model.settings[name] for name in kinds if name in model.settings), {})
    knobs = {field.name for field in dataclasses.fields(cls.Config)}
    return {**{k: v for k, v in advised.items() if k in knobs}, **variant.changed, **variant.tuned}


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
class Planner:
    """What all trials of a spec have in common, and what makes a trial of it."""

    spec: Spec
    model: ModelSource
    task: Task
    given: Given
    general: GeneralText
    metrics: Chosen
    limits: Limits
    device: str
    dtype: str
    environment: Environment

    def plan(self, chosen: Mapping[str, Choice] | None = None) -> Plan:
        """All trials, of the variants as they are or as searches have `chosen` them, by the name of the variant."""
        chosen = chosen or {}
        starts = {variant.name: self.method(variant).starts_from for variant in self.spec.variants}
        # Seeds outside, variants inside: an interrupted run has whole comparisons of the first seeds.
        trials = [self.base]
        for seed in self.spec.seeds:
            of_seed: dict[str, Trial] = {}
            for variant, start in in_order(self.spec.variants, starts):
                choice = chosen.get(variant.name, Choice(variant))
                of_seed[variant.name] = self.trial(choice.variant, seed, of_seed[start] if start else None, choice)
            trials += of_seed.values()
        refuse_twins(trials)
        return Plan(tuple(trials), self.task, self.model, self.given, self.device, self.dtype)

    @cached_property
    def base(self) -> Trial:
        """The untouched model's, once for all variants."""
        return self.trial(BASE, 0, None)

    @cached_property
    def code(self) -> Callable[[type[Method]], str]:
        """`code_hash`, of each class once: a grid has a thousand variants of few classes."""
        return cache(code_hash)

    def space(self, variant: Variant) -> dict[str, Domain]:
        """Knob → domain of what is searched for a variant; empty where nothing is."""
        method = self.method(variant)
        served = method.unsupported(self.model.facts(self.device)) is None
        return space(self.spec.tune, method, variant.changed) if served else {}

    def method(self, variant: Variant) -> Method:
        """The variant's method, with what the model's preset recommends."""
        return registry.build(variant.method, preset_settings(self.model, variant))

    def trial(
        self, variant: Variant, seed: int, start: Trial | None, choice: Choice = CHOSEN, split: Split = "test"
    ) -> Trial:
        """One trial; `start` is the one that it goes on from, `choice` how its setting was found."""
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
        general = self.general if split == "test" else NONE
        curve = _learning_curve(spec, task) if method.trains and split == "test" else None
        identity = {
            "model": [self.model.name, self.model.revision, self.dtype],
            "task": [task.fingerprint, list(task.templates)],
            "variant": variant.name,
            "settings": method.settings(),
            "limits": dataclasses.asdict(self.limits),
            "decoding": decoding,
            "code": self.code(type(method)),
            "device": self.device,
            "versions": dict(self.environment.versions),
            # Neither seed nor budget can change what the untouched model answers.
            **({} if is_base else {"seed": seed, "budget": budget, "training": training}),
            **given.identity(method),
            **general.identity(),
            **(self.metrics.identity() if split == "test" else {}),
            **({"split": split} if split != "test" else {}),
            **({"tuning": choice.tuning} if choice.tuning else {}),
            # A record without a curve doesn't do for a request for one; a target is only held against the curve.
            **({"learning_curve": [curve["every"], curve["examples"]]} if curve else {}),
            **({"start": start.trial_id} if start else {}),
        }
        draft = Record(
            trial_id=content_hash(identity),
            status="error",
            role=method.role,
            variant=variant.name,
            method=variant.method,
            settings=method.settings(),
            changed={**variant.changed, **variant.tuned},
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
            details={
                **given.details(method),
                **general.facts(),
                **({"warm_start": {"trial_id": start.trial_id}} if start else {}),
                **({"tuning": choice.tuning} if choice.tuning else {}),
                **({"learning_curve": {**curve, "every": str(spec.evaluate_every)}} if curve else {}),
            },
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
            "split": split,
            "device": self.device,
            "dtype": self.dtype,
            "trust_remote_code": spec.trust_remote_code,
            "price_per_hour": spec.price_per_hour,
            "save_models": spec.save_models,
            "keep_checkpoints": spec.keep_checkpoints,
            "checkpoint": {"every": every and {"unit": every.unit, "amount": every.amount}, "file": None},
            "on_oom": spec.on_oom,
            "plugin": [str(Path(file).resolve()) for file in spec.plugin],
            "learning_curve": curve,
            **given.request(method),
            "general_text": general.passages,
            **(self.metrics.request() if split == "test" else {"metrics": []}),  # a search goes by ROUGE-L
        }
        reason = method.unsupported(facts)
        return Trial(
            draft=draft,
            request=request,
            refused=("unsupported", reason) if reason else choice.refused,
            start=start.trial_id if start else None,
        )


def _learning_curve(spec: Spec, task: Task) -> dict[str, Any] | None:
    """The curve that the worker is asked for. Raises `SpecError` where there is nothing to measure on."""
    every = spec.evaluate_every
    if every is None:
        return None
    if not task.validation:
        raise SpecError(f"evaluate_every measures on validation examples, and the task {task.name} has none")
    return {
        "every": {"unit": every.unit, "amount": every.amount},
        "examples": min(spec.curve_examples, len(task.validation)),
        "target_quality": spec.target_quality,
    }


def _sizes(task: Task) -> dict[str, int]:
    splits: dict[str, Sequence[Any]] = {"train": task.train, "validation": task.validation, "test": task.test}
    return {name: len(examples) for name, examples in splits.items()}

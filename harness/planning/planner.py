"""Makes the trials of a spec: all that they have in common is resolved once, and each gets its id and its request."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.feedback.given_feedback import GivenFeedback, find_feedback
from harness.hashing import hash_content
from harness.models.source import resolve_model
from harness.planning.environment import choose_device, choose_dtype, describe
from harness.planning.identity import hash_training_code
from harness.planning.inputs import Curve, Start, TrialInput, merge_parts, write_budget
from harness.planning.plan import BASE, CHOSEN, Choice, Plan, Trial, in_order, refuse_twins
from harness.request import BatchSettings, CurveRequest, Decoding, ModelSource, Split, TrialRequest
from harness.scoring.selection import SelectedMetrics, select_metrics
from harness.spec.search_space import Domain, space
from harness.spec.spec import Spec
from harness.spec.variants import Variant
from harness.tasks import Task, load_task
from harness.tasks.general_text import NONE, GeneralText, load_general_text
from methods import registry
from methods.base import Method
from methods.types import Limits
from reports.records.record import Environment, ModelInfo, Record, TaskInfo


def make_plan(spec: Spec) -> Plan:
    """The trials of a spec as it stands. Raises `HarnessError` or `MethodError` with one sentence."""
    return prepare(spec).plan()


def prepare(spec: Spec) -> Planner:
    """Resolve model, data and device of a spec. Raises `HarnessError` or `MethodError` with one sentence."""
    task = load_task(spec.task)  # before a model is downloaded: mistakes in the data show at once
    metrics = select_metrics(spec.metrics, task.train)
    given = find_feedback(spec, task)
    general = load_general_text(spec.general_text)
    model = resolve_model(spec.model, trust_remote_code=spec.trust_remote_code)
    limits = _limits(spec, task, model)
    device = model.device or choose_device(spec.device)
    asked = model.dtype if spec.dtype == "auto" and model.dtype else spec.dtype
    return Planner(
        spec=spec,
        model=model,
        task=task,
        given=given,
        general=general if model.has_loss else NONE,
        metrics=metrics,
        curve=_plan_curve(spec, task),
        batches=BatchSettings(
            batch_size=spec.batch_size,
            accumulation=spec.accumulation,
            input_tokens=limits.input_tokens,
            target_tokens=limits.target_tokens,
        ),
        decoding=Decoding(max_new_tokens=limits.target_tokens, batch_size=spec.eval_batch_size),
        device=device,
        dtype=choose_dtype(asked, device),
        environment=describe(device),
    )


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


@dataclass(frozen=True, kw_only=True)
class Planner:
    """What all trials of a spec have in common, and what makes a trial of it."""

    spec: Spec
    model: ModelSource
    task: Task
    given: GivenFeedback
    general: GeneralText
    metrics: SelectedMetrics
    curve: Curve
    batches: BatchSettings
    decoding: Decoding
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
    def code(self) -> Callable[[type[Method], bool, bool], str]:
        """Hash of the code behind a method's trials; of each class once: a grid has a thousand variants of few."""

        @cache
        def hash_code(cls: type[Method], rewarded: bool, searched: bool) -> str:
            return hash_training_code(cls, self.model.backend, rewarded=rewarded, searched=searched)

        return hash_code

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
        method = self.method(variant)
        start_id = start.trial_id if start else None
        inputs: tuple[TrialInput, ...] = (
            *(self.given, self.general, self.metrics, self.curve),
            *(Start(start_id), choice),
        )
        trial_id = hash_content(
            {
                **self._identify(variant, method, seed, split, searched=bool(choice.tuning)),
                **merge_parts(item.identity(method, split) for item in inputs),
            }
        )
        details = merge_parts(item.details(method, split) for item in inputs)
        request = dataclasses.replace(
            self._request(trial_id, variant, seed, split),
            **merge_parts(item.request(method, split) for item in inputs),
        )
        reason = method.unsupported(self.model.facts(self.device))
        return Trial(
            draft=self._draft(request, variant, method, details),
            request=request,
            refused=("unsupported", reason) if reason else choice.refused,
            start=start_id,
        )

    def _identify(self, variant: Variant, method: Method, seed: int, split: Split, *, searched: bool) -> dict[str, Any]:
        """All that can change what a trial answers, besides its inputs."""
        training = {
            "seed": seed,
            "budget": write_budget(self.spec.budget),
            "training": dataclasses.asdict(self.batches),
        }
        rewarded = self.given.select(method)[1] is not None
        return {
            "model": [self.model.name, self.model.revision, self.dtype],
            "task": [self.task.fingerprint, list(self.task.templates)],
            "variant": variant.name,
            "settings": method.settings(),
            "limits": dataclasses.asdict(self.batches.limits),
            "decoding": dataclasses.asdict(self.decoding),
            "code": self.code(type(method), rewarded, searched),
            "device": self.device,
            "versions": dict(self.environment.versions),
            # Neither seed nor budget can change what the untouched model answers.
            **({} if method.role == "base" else training),
            **({} if split == "test" else {"split": split}),
        }

    def _request(self, trial_id: str, variant: Variant, seed: int, split: Split) -> TrialRequest:
        """What the worker is told, besides the inputs."""
        spec = self.spec
        return TrialRequest(
            trial_id=trial_id,
            method=variant.method,
            settings=preset_settings(self.model, variant),
            seed=seed,
            model=self.model,
            task=spec.task,
            fingerprint=self.task.fingerprint,
            budget=spec.budget,
            training=self.batches,
            decoding=self.decoding,
            split=split,
            device=self.device,
            dtype=self.dtype,
            checkpoint_every=spec.checkpoint_every,
            plugins=tuple(str(Path(file).resolve()) for file in spec.plugin),
            on_oom=spec.on_oom,
            price_per_hour=spec.price_per_hour,
            save_models=spec.save_models,
            keep_checkpoints=spec.keep_checkpoints,
            trust_remote_code=spec.trust_remote_code,
        )

    def _draft(self, request: TrialRequest, variant: Variant, method: Method, details: Mapping[str, Any]) -> Record:
        """The record as it stands before the trial."""
        model, task = self.model, self.task
        return Record(
            trial_id=request.trial_id,
            status="error",
            role=method.role,
            variant=variant.name,
            method=variant.method,
            settings=method.settings(),
            changed={**variant.changed, **variant.tuned},
            seed=request.seed,
            model=ModelInfo(
                name=model.name,
                source=model.kind,
                revision=model.revision,
                architecture=model.architecture,
                family=model.family,
                parameters=None,
                dtype=self.dtype,
                note=model.note,
            ),
            task=TaskInfo(
                name=task.name,
                fingerprint=task.fingerprint,
                examples={name: len(examples) for name, examples in task.splits.items()},
                unusable=task.unusable,
                templates=tuple(task.templates),
                note=task.note,
            ),
            budget=write_budget(request.budget),
            training=dataclasses.asdict(request.training),
            decoding=dataclasses.asdict(request.decoding),
            environment=self.environment,
            split=request.split,
            scoring=self.metrics.scoring(request.split),
            details=details,
        )


def _plan_curve(spec: Spec, task: Task) -> Curve:
    """The curve that is asked for. Raises `SpecError` where there is nothing to measure on."""
    if spec.evaluate_every is None:
        return Curve(None)
    if not task.validation:
        raise SpecError(f"evaluate_every measures on validation examples, and the task {task.name} has none")
    return Curve(
        CurveRequest(
            every=spec.evaluate_every,
            examples=min(spec.curve_examples, len(task.validation)),
            target_quality=spec.target_quality,
        )
    )

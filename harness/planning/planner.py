"""Makes the trials of a spec: resolves once what they share, and gives each its id, its request and its draft."""

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
from harness.models.languages import choose_languages
from harness.models.source import resolve_model
from harness.planning.environment import choose_device, choose_dtype, describe_environment
from harness.planning.identity import CodeInputs, hash_training_code
from harness.planning.inputs import CurveInput, StartInput, TrialInput, add_parts, merge_parts, serialize_budget
from harness.planning.limits import fit_limits
from harness.planning.plan import BASE, NO_CHOICE, Plan, Trial, VariantChoice, order_variants, refuse_duplicates
from harness.planning.quality import require_visible_references
from harness.request import BatchSettings, CurveRequest, Decoding, ModelSource, Split, TrialRequest
from harness.scoring.blind_spots import describe_references
from harness.scoring.selection import SelectedMetrics, select_metrics
from harness.spec.search_space import Domain, build_search_space
from harness.spec.spec import Spec
from harness.spec.variants import Variant
from harness.tasks import Task, load_task
from harness.tasks.general_text import NONE, GeneralText, load_general_text
from methods import registry
from methods.base import Method
from reports.records.record import Environment, ModelInfo, Record, TaskInfo


def make_plan(spec: Spec) -> Plan:
    """Plan the trials of a spec without a search. Raises `HarnessError` or `MethodError` with one sentence."""
    return build_planner(spec).plan()


def build_planner(spec: Spec) -> Planner:
    """Resolve model, data and device of a spec. Raises `HarnessError` or `MethodError` with one sentence."""
    task = load_task(spec.task)  # before a model is downloaded, so that errors in the data show early
    metrics = describe_references(select_metrics(spec.metrics, task.train), task)
    require_visible_references(spec, task)
    given = find_feedback(spec.preferences, spec.reward, task, spec.task, trust_remote_code=spec.trust_remote_code)
    general = load_general_text(spec.general_text)
    model = resolve_model(spec.model, trust_remote_code=spec.trust_remote_code)
    model = choose_languages(model, spec.source_language, spec.target_language)
    task = fit_limits(spec, task, model)
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
            input_tokens=task.limits.input_tokens,
            target_tokens=task.limits.target_tokens,
        ),
        decoding=Decoding(max_new_tokens=task.limits.target_tokens, batch_size=spec.eval_batch_size),
        device=device,
        dtype=choose_dtype(asked, device),
        environment=describe_environment(device),
    )


def merge_preset_settings(model: ModelSource, variant: Variant) -> dict[str, Any]:
    """The knobs that the model's preset recommends for this method, overridden by the user's changes.

    A method that the preset does not name gets the recommendation for its nearest base class: `dora` gets that of
    `lora`.
    """
    cls = registry.get(variant.method)
    kinds = [str(vars(kind).get("name")) for kind in cls.__mro__]
    advised = next((model.settings[name] for name in kinds if name in model.settings), {})
    knobs = {field.name for field in dataclasses.fields(cls.Config)}
    return {**{k: v for k, v in advised.items() if k in knobs}, **variant.changed, **variant.tuned}


@dataclass(frozen=True, kw_only=True)
class Planner:
    """What all trials of a spec share; builds its trials."""

    spec: Spec
    model: ModelSource
    task: Task
    given: GivenFeedback
    general: GeneralText
    metrics: SelectedMetrics
    curve: CurveInput
    batches: BatchSettings
    decoding: Decoding
    device: str
    dtype: str
    environment: Environment

    def plan(self, chosen: Mapping[str, VariantChoice] | None = None) -> Plan:
        """Plan all trials. `chosen` maps the name of a variant to what a search chose for it."""
        chosen = chosen or {}
        starts = {variant.name: self.build_method(variant).starts_from for variant in self.spec.variants}
        # Seeds are the outer loop, so that an interrupted run has compared all variants on the first seeds.
        trials = [self.base]
        for seed in self.spec.seeds:
            of_seed: dict[str, Trial] = {}
            for variant, start in order_variants(self.spec.variants, starts):
                choice = chosen.get(variant.name, VariantChoice(variant))
                of_seed[variant.name] = self.build_trial(
                    choice.variant, seed, of_seed[start] if start else None, choice
                )
            trials += of_seed.values()
        refuse_duplicates(trials)
        return Plan(tuple(trials), self.task, self.model, self.given, self.metrics, self.device, self.dtype)

    @cached_property
    def base(self) -> Trial:
        """The trial of the untouched model, one for all variants."""
        return self.build_trial(BASE, 0, None)

    @cached_property
    def hash_method_code(self) -> Callable[[type[Method], CodeInputs], str]:
        """`hash_training_code`, which runs once for each class: a grid has many variants of one class."""
        return cache(hash_training_code)

    def build_search_space(self, variant: Variant) -> dict[str, Domain]:
        """Knob → domain of the search for a variant; empty if nothing is searched."""
        method = self.build_method(variant)
        served = method.unsupported(self.model.get_facts(self.device)) is None
        return build_search_space(self.spec.tune, method, variant.changed) if served else {}

    def build_method(self, variant: Variant) -> Method:
        """The variant's method, with the knobs that the model's preset recommends."""
        return registry.build(variant.method, merge_preset_settings(self.model, variant))

    def build_trial(
        self, variant: Variant, seed: int, start: Trial | None, choice: VariantChoice = NO_CHOICE, split: Split = "test"
    ) -> Trial:
        """Build one trial; `start` is the trial from which it starts, `choice` the search that chose its knobs."""
        method = self.build_method(variant)
        start_id = start.trial_id if start else None
        inputs: tuple[TrialInput, ...] = (
            *(self.given, self.general, self.metrics, self.curve),
            *(StartInput(start_id), choice),
        )
        trial_id = hash_content(
            {
                **self._identify(variant, method, seed, split, searched=bool(choice.tuning)),
                **merge_parts(item.identity(method, split) for item in inputs),
            }
        )
        details = merge_parts(item.details(method, split) for item in inputs)
        request = add_parts(
            self._build_request(trial_id, variant, seed, split),
            (item.request(method, split) for item in inputs),
        )
        reason = method.unsupported(self.model.get_facts(self.device))
        return Trial(
            draft=self._build_draft(request, variant, method, details),
            request=request,
            refused=("unsupported", reason) if reason else choice.refused,
            start=start_id,
        )

    def _identify(self, variant: Variant, method: Method, seed: int, split: Split, *, searched: bool) -> dict[str, Any]:
        """Everything besides the inputs that can change a trial's predictions."""
        training = {
            "seed": seed,
            "budget": serialize_budget(self.spec.budget),
            "training": dataclasses.asdict(self.batches),
        }
        code_inputs = CodeInputs(
            backend=self.model.backend,
            rewarded=self.given.select(method)[1] is not None,
            searched=searched,
            general_text=bool(self.general.identity(method, split)),
        )
        return {
            "model": [self.model.name, self.model.revision, self.model.family, self.model.backend, self.dtype],
            "languages": [self.model.source_language, self.model.target_language],
            "task": [self.task.fingerprint, list(self.task.templates)],
            "variant": variant.name,
            "settings": method.settings(),
            "limits": dataclasses.asdict(self.batches.limits),
            "decoding": dataclasses.asdict(self.decoding),
            "code": self.hash_method_code(type(method), code_inputs),
            "device": self.device,
            "versions": dict(self.environment.versions),
            # Seed and budget cannot change the predictions of the untouched model.
            **({} if method.role == "base" else training),
            **({} if split == "test" else {"split": split}),
        }

    def _build_request(self, trial_id: str, variant: Variant, seed: int, split: Split) -> TrialRequest:
        """The request without the inputs' fields."""
        spec = self.spec
        return TrialRequest(
            trial_id=trial_id,
            method=variant.method,
            settings=merge_preset_settings(self.model, variant),
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

    def _build_draft(
        self, request: TrialRequest, variant: Variant, method: Method, details: Mapping[str, Any]
    ) -> Record:
        """The record without an outcome."""
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
            budget=serialize_budget(request.budget),
            training=dataclasses.asdict(request.training),
            decoding=dataclasses.asdict(request.decoding),
            environment=self.environment,
            split=request.split,
            scoring=self.metrics.scoring(request.split),
            details=details,
        )


def _plan_curve(spec: Spec, task: Task) -> CurveInput:
    """The curve that the user asked for. Raises `SpecError` if there are no validation examples."""
    if spec.evaluate_every is None:
        return CurveInput(None)
    if not task.validation:
        raise SpecError(f"--evaluate-every measures on validation examples, and the task {task.name} has none")
    return CurveInput(
        CurveRequest(
            every=spec.evaluate_every,
            examples=min(spec.curve_examples, len(task.validation)),
            target_quality=spec.target_quality,
        )
    )

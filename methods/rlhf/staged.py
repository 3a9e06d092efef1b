"""Methods in stages: a supervised warm start, preferences, and a budget that is split among the stages."""

from __future__ import annotations

import dataclasses
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from methods.adapters.lora import Init, LoRA, LoRAConfig
from methods.engine.training_state import load_weights, pack_states, unpack_states
from methods.knobs import knob
from methods.rlhf.roles import POLICY, REFERENCE, Roles
from methods.types import Budget, Checkpoint, Setting, State, StepEvent, TrainingJob, require

if TYPE_CHECKING:
    from methods.engine.encoding import Encoder
    from methods.rlhf.pairs import Pairs

Made = TypeVar("Made")

STARTS = {"lora": ("lora",), "none": ("instruction",)}
"""What trains → the methods it can continue from: they train the same weights on the same prompts."""


@dataclass(frozen=True, kw_only=True)
class StagedConfig(LoRAConfig):
    """Knobs of every method in stages, in addition to those of the warm start, which are LoRA's."""

    inits: ClassVar[tuple[Init, ...]] = ("default", "gaussian", "orthogonal")
    """Allowed values of `init`. Policy and reference share the base weights, so no part of these can be trained."""

    learning_rate: float = knob(
        LoRAConfig.learning_rate,
        "Peak learning rate of the warm start.",
        source="LoRA's. With `peft=none` a tenth of it is usual.",
    )
    peft: Literal["lora", "none"] = knob(
        "lora",
        "What trains. `lora`: a LoRA adapter, which needs no second copy of the model as reference. `none`: all "
        "weights, which does.",
    )
    start: str = knob(
        "",
        "Variant of the same run to continue from instead of the method's own warm start, such as `lora` "
        "(`instruction` with `peft=none`). Its cost is in its own row.",
    )
    warm_start: float = knob(
        0.65,
        "Share of the budget for the warm start. It is large, since a policy that starts from an untuned model learns "
        "little from preferences (Ouyang et al. 2022 begin with supervised training too).",
    )
    pairs: int = knob(
        1000,
        "Maximum number of preference pairs to derive if none are given; about a sixtieth of those in Stiennon et al. "
        "2020.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.warm_start < 1, "warm_start", "must be above 0 and below 1")
        require(self.pairs >= 10, "pairs", "must be at least 10")
        require(
            self.bias == "none",
            "bias",
            "must be none: biases exist once and cannot differ between policy and reference",
        )
        require(
            self.lr_ratio == 1, "lr_ratio", "must be 1: the stages after the warm start have one learning rate each"
        )
        fits = STARTS[self.peft]
        require(
            not self.start or self.start.partition("[")[0] in fits,
            "start",
            f"must be a variant of {' or '.join(fits)} with peft={self.peft}",
        )


class StagedMethod(LoRA):
    """A method in stages. Subclasses define in `learn` what follows the warm start."""

    Config = StagedConfig
    feedback: ClassVar[frozenset[str]] = frozenset({"preferences"})

    @property
    def starts_from(self) -> str | None:
        """The variant that `start` names."""
        return self.config.start or None

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Add the adapter that will train, or make all weights trainable."""
        if self.config.peft == "lora":
            return super().prepare(model, setting)
        model.requires_grad_(True)
        return model

    def train(self, job: TrainingJob) -> None:
        """Run the warm start, then `learn`. Raises `UnsupportedError` if there are no validation examples."""
        from methods.errors import UnsupportedError

        if not job.validation:
            raise UnsupportedError(f"{self.name} measures on validation examples, and this task has none")
        runner = StageRunner(job)
        roles = runner.roles
        runner.stage(
            "warm_start",
            lambda: self._warm_start(runner),
            # Every checkpoint has the policy's weights; the reference has them as they were after the warm start.
            keep=lambda _: State(roles.weights(REFERENCE) if REFERENCE in roles else {}),
            take=lambda state: load_weights(roles.weights(POLICY), state.tensors),
        )
        job.model.eval()
        self.learn(runner)
        job.model.eval()

    @abstractmethod
    def learn(self, runner: StageRunner) -> None:
        """Continue from the warm-started model of `runner.job`, in stages that share the rest of the budget."""

    def preferences(self, runner: StageRunner, encoder: Encoder) -> Pairs:
        """Run the stage that gathers preference pairs."""
        from methods.rlhf import pairs

        def gather() -> Pairs:
            return pairs.gather_pairs(self, runner.job, encoder, self.config.pairs)

        return runner.stage(
            "preferences", gather, keep=pairs.Pairs.state, take=lambda state: pairs.Pairs.of(state) or gather()
        )

    def _warm_start(self, runner: StageRunner) -> None:
        from methods.engine.training import cast_trainable_to_float32, train_supervised

        job, start = runner.job, runner.job.feedback.start
        if start is None:
            train_supervised(self, runner.part("warm_start", self.config.warm_start))
            said = f"its own, {self.config.warm_start:.0%} of the budget"
        else:
            load_start(self, job.model, start)
            cast_trainable_to_float32(job.model)
            runner.skip(self.config.warm_start)
            said = f"{self.config.start} seed {job.seed}"
        job.observer.details({"warm_start": {"from": said}})


class StageRunner:
    """Runs the stages of a job, splits its budget among them, and reports their steps as steps of the whole training.

    Stages that an interrupted run had finished are not run again: their saved results are used.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.roles = Roles(job.model)
        self.steps = 0
        """Optimiser steps done in all stages."""
        self.spent = 0.0
        """Share of the budget given to stages so far."""
        kept = job.checkpoint.kept()
        self._finished: dict[str, Callable[[], State]] = {}
        self._to_take, self._under_way = map(unpack_states, unpack_states(kept).values()) if kept else ({}, {})

    def stage(
        self,
        name: str,
        run: Callable[[], Made],
        *,
        keep: Callable[[Made], State] = lambda made: State(values=made),  # type: ignore[arg-type]
        take: Callable[[State], Made] = lambda state: state.values,  # type: ignore[assignment, return-value]
    ) -> Made:
        """Run a stage, or restore its result from a checkpoint, and return the result.

        `keep` turns the result into what a checkpoint saves, and `take` turns that back; by default results are JSON
        values. `keep` is called for every checkpoint until the end of the training.
        """
        earlier = self._to_take.pop(name, None)
        if earlier is None:
            with self.job.observer.stage(name):
                made = run()
        else:
            made = take(State(earlier.tensors, earlier.values["made"]))
            self.steps, self.spent = earlier.values["steps"], earlier.values["spent"]
        counts = {"steps": self.steps, "spent": self.spent}

        def state() -> State:
            kept = keep(made)
            return State(kept.tensors, {**counts, "made": kept.values})

        self._finished[name] = state
        if earlier is None:
            self.job.checkpoint.ended(self.state)
        elif not self._to_take and not self._under_way:
            self.job.checkpoint.resume()
        return made

    def state(self, under_way: Mapping[str, State] | None = None) -> State:
        """The state of the finished stages, and of the running one, if any."""
        finished = {name: state() for name, state in self._finished.items()}
        return pack_states({"finished": pack_states(finished), "under_way": pack_states(under_way or {})})

    @property
    def left(self) -> float:
        """Share of the budget that no stage has got yet."""
        return 1 - self.spent

    def skip(self, share: float) -> None:
        """Leave a share of the budget unused."""
        self.spent += share

    def part(self, stage: str, share: float, *, evaluable: bool = True) -> TrainingJob:
        """Make the job of one stage, with this share of the whole budget. In steps, it gets a whole number, at least 1.

        `evaluable` says whether it is the policy that trains.
        """
        job, before, steps = self.job, self.spent, self.steps
        self.skip(share)
        amount = job.budget.amount * share
        if job.budget.unit == "steps":  # start and end of the stage are rounded, so that the parts add up
            amount = max(1, round(job.budget.amount * self.spent) - round(job.budget.amount * before))

        def emit(event: StepEvent) -> None:
            self.steps = steps + event.step
            progress = min(1.0, before + share * event.progress)
            of_whole = dataclasses.replace(event, step=self.steps, progress=progress)
            job.emit(dataclasses.replace(of_whole, stage=stage, evaluable=evaluable))

        checkpoint = _StageCheckpoint(self, stage, self._under_way.pop(stage, None))
        return dataclasses.replace(job, budget=Budget(job.budget.unit, amount), emit=emit, checkpoint=checkpoint)


class _StageCheckpoint(Checkpoint):
    """Saves a running stage together with the finished ones. The end of a stage is saved by `StageRunner`."""

    def __init__(self, runner: StageRunner, stage: str, kept: State | None) -> None:
        self._runner = runner
        self._stage = stage
        self._kept = kept

    def kept(self) -> State | None:
        return self._kept

    def resume(self) -> None:
        self._runner.job.checkpoint.resume()

    def step(self, state: Callable[[], State]) -> None:
        self._runner.job.checkpoint.step(lambda: self._runner.state({self._stage: state()}))


_MUST_AGREE = (("r", "r"), ("alpha", "lora_alpha"), *((same, same) for same in ("bias", "use_dora", "use_rslora")))
"""Knobs, and fields of PEFT's config, that have to be the same in two adapters."""


def load_start(method: StagedMethod, model: Any, folder: Path) -> None:
    """Load the weights that another trial saved. Raises `InvalidSettingError` if they do not fit."""
    from safetensors.torch import load_file

    from methods.errors import InvalidSettingError

    if method.config.peft == "none":
        weights = {
            name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()
        }
        missing, unknown = model.load_state_dict(weights, strict=False)
        tied = set(model.all_tied_weights_keys or ())
        if unknown or set(missing) - tied:
            raise InvalidSettingError(
                f"{method.name}.start: what {method.config.start} saved are not weights of this model"
            )
        return
    import peft

    theirs = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    ours = model.peft_config["default"]
    for name, key in _MUST_AGREE:
        if theirs[key] != (own := getattr(ours, key)):
            raise InvalidSettingError(
                f"{method.name}.{name} is {own}, but that of {method.config.start} is {theirs[key]}; "
                "set both to the same value"
            )
    if set(theirs["target_modules"]) != set(ours.target_modules):
        raise InvalidSettingError(
            f"{method.name}.target_modules are not those of {method.config.start}; set both to the same value"
        )
    peft.set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))

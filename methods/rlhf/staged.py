"""What `rlhf` and its cheaper relatives share: a supervised warm start, preferences, and a budget split into stages."""

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
"""What trains → methods whose result it can go on from: they train the same weights on the same prompts."""


@dataclass(frozen=True, kw_only=True)
class StagedConfig(LoRAConfig):
    """Knobs of every staged method, besides those of the warm start, which are LoRA's."""

    inits: ClassVar[tuple[Init, ...]] = ("default", "gaussian", "orthogonal")
    """What `init` may be: not a part of the weights, which policy and reference have in common."""

    learning_rate: float = knob(
        LoRAConfig.learning_rate,
        "Peak learning rate of the warm start.",
        source="LoRA's. With `peft=none` a tenth of it is usual.",
    )
    peft: Literal["lora", "none"] = knob(
        "lora",
        "What trains: a LoRA adapter, which needs no second copy of the model as reference; or all weights, which "
        "does.",
    )
    start: str = knob(
        "",
        "Variant of the same run to go on from instead of an own warm start, such as `lora` (`instruction` with "
        "`peft=none`); its cost is in its own row.",
    )
    warm_start: float = knob(
        0.65,
        "Share of the budget for the own warm start. Most of it, since a policy that starts from an untuned model "
        "learns little from preferences (Ouyang et al. 2022 begin with supervised tuning, too).",
    )
    pairs: int = knob(
        1000,
        "Most preference pairs to derive where none are given; about a sixtieth of those in Stiennon et al. 2020.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.warm_start < 1, "warm_start", "must be above 0 and below 1")
        require(self.pairs >= 10, "pairs", "must be at least 10")
        require(
            self.bias == "none",
            "bias",
            "must be none: biases are held once and cannot differ between policy and reference",
        )
        require(self.lr_ratio == 1, "lr_ratio", "must be 1: the stages after the warm start have one rate each")
        fits = STARTS[self.peft]
        require(
            not self.start or self.start.partition("[")[0] in fits,
            "start",
            f"must be a variant of {' or '.join(fits)} with peft={self.peft}",
        )


class StagedMethod(LoRA):
    """A method in stages. Subclasses say what they make of preferences, in `learn`."""

    Config = StagedConfig
    feedback: ClassVar[frozenset[str]] = frozenset({"preferences"})

    @property
    def starts_from(self) -> str | None:
        """The variant that `start` names."""
        return self.config.start or None

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Add the adapter that will train, or let all weights train."""
        if self.config.peft == "lora":
            return super().prepare(model, setting)
        model.requires_grad_(True)
        return model

    def train(self, job: TrainingJob) -> None:
        """Warm start, then what the subclass does. Raises `UnsupportedError` where there is nothing to measure on."""
        from methods.errors import UnsupportedError

        if not job.validation:
            raise UnsupportedError(f"{self.name} measures on validation examples, and this task has none")
        ledger = StageRunner(job)
        roles = ledger.roles
        ledger.stage(
            "warm_start",
            lambda: self._warm_start(ledger),
            # The policy's own weights are in every checkpoint; as the warm start left them, the reference has them.
            keep=lambda _: State(roles.weights(REFERENCE) if REFERENCE in roles else {}),
            take=lambda state: load_weights(roles.weights(POLICY), state.tensors),
        )
        job.model.eval()
        self.learn(ledger)
        job.model.eval()

    @abstractmethod
    def learn(self, ledger: StageRunner) -> None:
        """Go on from the warm-started model of `ledger.job`, in stages that share what is left of the budget."""

    def preferences(self, ledger: StageRunner, encoder: Encoder) -> Pairs:
        """The stage that gathers preference pairs."""
        from methods.rlhf import pairs

        def gather() -> Pairs:
            return pairs.gather_pairs(self, ledger.job, encoder, self.config.pairs)

        return ledger.stage(
            "preferences", gather, keep=pairs.Pairs.state, take=lambda state: pairs.Pairs.of(state) or gather()
        )

    def _warm_start(self, ledger: StageRunner) -> None:
        from methods.engine.training import cast_trainable_to_float32, train_supervised

        job, start = ledger.job, ledger.job.feedback.start
        if start is None:
            train_supervised(self, ledger.part("warm_start", self.config.warm_start))
            said = f"its own, {self.config.warm_start:.0%} of the budget"
        else:
            load_start(self, job.model, start)
            cast_trainable_to_float32(job.model)
            ledger.skip(self.config.warm_start)
            said = f"{self.config.start} seed {job.seed}"
        job.observer.details({"warm_start": {"from": said}})


class StageRunner:
    """Runs the stages of a job, splits its budget among them, and tells their steps as steps of the whole.

    Stages that an interrupted run had finished are not run again: what they made is taken over.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.roles = Roles(job.model)
        self.steps = 0
        """Optimiser steps done, over all stages."""
        self.spent = 0.0
        """Share of the budget that stages were given so far."""
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
        """What a stage makes. `keep` says what a checkpoint holds of it, and `take` makes it of that again.

        Both are for JSON values where they are not given; `keep` is asked for every checkpoint until the end.
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
        """The stages that are finished, and the one that is under way, if any."""
        finished = {name: state() for name, state in self._finished.items()}
        return pack_states({"finished": pack_states(finished), "under_way": pack_states(under_way or {})})

    @property
    def left(self) -> float:
        """Share of the budget that no stage was given yet."""
        return 1 - self.spent

    def skip(self, share: float) -> None:
        """Leave a share unspent."""
        self.spent += share

    def part(self, stage: str, share: float, *, evaluable: bool = True) -> TrainingJob:
        """The job of one stage, with this share of the whole budget; of steps it gets whole ones, and at least one.

        `evaluable` says whether it is the policy that trains.
        """
        job, before, steps = self.job, self.spent, self.steps
        self.skip(share)
        amount = job.budget.amount * share
        if job.budget.unit == "steps":  # rounded where the stage begins and ends, so that the parts add up
            amount = max(1, round(job.budget.amount * self.spent) - round(job.budget.amount * before))

        def emit(event: StepEvent) -> None:
            self.steps = steps + event.step
            progress = min(1.0, before + share * event.progress)
            of_whole = dataclasses.replace(event, step=self.steps, progress=progress)
            job.emit(dataclasses.replace(of_whole, stage=stage, evaluable=evaluable))

        checkpoint = _StageCheckpoint(self, stage, self._under_way.pop(stage, None))
        return dataclasses.replace(job, budget=Budget(job.budget.unit, amount), emit=emit, checkpoint=checkpoint)


class _StageCheckpoint(Checkpoint):
    """Keeps a stage under way together with those that are finished; its end is the ledger's to keep."""

    def __init__(self, ledger: StageRunner, stage: str, kept: State | None) -> None:
        self._ledger = ledger
        self._stage = stage
        self._kept = kept

    def kept(self) -> State | None:
        return self._kept

    def resume(self) -> None:
        self._ledger.job.checkpoint.resume()

    def step(self, state: Callable[[], State]) -> None:
        self._ledger.job.checkpoint.step(lambda: self._ledger.state({self._stage: state()}))


_MUST_AGREE = (("r", "r"), ("alpha", "lora_alpha"), *((same, same) for same in ("bias", "use_dora", "use_rslora")))
"""Knob and field of PEFT's config in which two adapters have to agree."""


def load_start(method: StagedMethod, model: Any, folder: Path) -> None:
    """Take over the weights that another trial shipped. Raises `InvalidSettingError` where they do not fit."""
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
                f"{method.name}.start: what {method.config.start} shipped are not this model's weights"
            )
        return
    import peft

    theirs = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    ours = model.peft_config["default"]
    for name, key in _MUST_AGREE:
        if theirs[key] != (own := getattr(ours, key)):
            raise InvalidSettingError(
                f"{method.name}.{name} is {own}, that of {method.config.start} {theirs[key]}; set both alike"
            )
    if set(theirs["target_modules"]) != set(ours.target_modules):
        raise InvalidSettingError(
            f"{method.name}.target_modules are not those of {method.config.start}; set both alike"
        )
    peft.set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))

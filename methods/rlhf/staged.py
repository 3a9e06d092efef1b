"""What `rlhf` and its cheaper relatives share: a supervised warm start, preferences, and a budget split into stages."""

from __future__ import annotations

import dataclasses
import json
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from methods.base import Budget, Setting, StepEvent, TrainingJob, require
from methods.lora import LoRA, LoRAConfig

STARTS = {"lora": ("lora",), "none": ("instruction",)}
"""What trains → methods whose result it can go on from: they train the same weights on the same prompts."""


@dataclass(frozen=True, kw_only=True)
class StagedConfig(LoRAConfig):
    """Knobs of every staged method, besides those of the warm start, which are LoRA's.

    learning_rate: of the warm start; LoRA's default. With `peft=none` a tenth of it is usual.
    """

    peft: Literal["lora", "none"] = "lora"
    """What trains: a LoRA adapter, which needs no second copy of the model as reference; or all weights, which does."""
    start: str = ""
    """Variant of the same run to go on from instead of an own warm start, such as `lora` (`instruction` with
    `peft=none`); its cost is in its own row."""
    warm_start: float = 0.65
    """Share of the budget for the own warm start. Most of it, since a policy that starts from an untuned model learns
    little from preferences (Ouyang et al. 2022 begin with supervised tuning, too)."""
    pairs: int = 1000
    """Most preference pairs to derive where none are given; about a sixtieth of those in Stiennon et al. 2020."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.warm_start < 1, "warm_start", "must be above 0 and below 1")
        require(self.pairs >= 10, "pairs", "must be at least 10")
        require(
            self.bias == "none",
            "bias",
            "must be none: biases are held once and cannot differ between policy and reference",
        )
        fits = STARTS[self.peft]
        require(
            not self.start or self.start.partition("[")[0] in fits,
            "start",
            f"must be a variant of {' or '.join(fits)} with peft={self.peft}",
        )


class Staged(LoRA):
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
        ledger = Ledger(job)
        with job.observer.stage("warm_start"):
            self._warm_start(ledger)
        self.learn(ledger)
        job.model.eval()

    @abstractmethod
    def learn(self, ledger: Ledger) -> None:
        """Go on from the warm-started model of `ledger.job`, in stages that share what is left of the budget."""

    def _warm_start(self, ledger: Ledger) -> None:
        from methods.training import hold_trainable_in_float32, train_supervised

        job, start = ledger.job, ledger.job.feedback.start
        if start is None:
            train_supervised(self, ledger.part("warm_start", self.config.warm_start))
            said = f"its own, {self.config.warm_start:.0%} of the budget"
        else:
            load_start(self, job.model, start)
            hold_trainable_in_float32(job.model)
            ledger.skip(self.config.warm_start)
            said = f"{self.config.start} seed {job.seed}"
        job.model.eval()
        job.observer.details({"warm_start": {"from": said}})


class Ledger:
    """Splits a job's budget among stages and tells their steps as steps of the whole."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.steps = 0
        """Optimiser steps done, over all stages."""
        self.spent = 0.0
        """Share of the budget that stages were given so far."""

    @property
    def left(self) -> float:
        """Share of the budget that no stage was given yet."""
        return 1 - self.spent

    def skip(self, share: float) -> None:
        """Leave a share unspent."""
        self.spent += share

    def part(self, stage: str, share: float) -> TrainingJob:
        """The job of one stage, with this share of the whole budget; of steps it gets whole ones, and at least one."""
        job, before, steps = self.job, self.spent, self.steps
        self.skip(share)
        amount = job.budget.amount * share
        if job.budget.unit == "steps":  # rounded where the stage begins and ends, so that the parts add up
            amount = max(1, round(job.budget.amount * self.spent) - round(job.budget.amount * before))

        def emit(event: StepEvent) -> None:
            self.steps = steps + event.step
            progress = min(1.0, before + share * event.progress)
            job.emit(dataclasses.replace(event, step=self.steps, progress=progress, stage=stage))

        return dataclasses.replace(job, budget=Budget(job.budget.unit, amount), emit=emit)


def load_start(method: Staged, model: Any, folder: Path) -> None:
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
    for knob, key in (("r", "r"), ("alpha", "lora_alpha"), ("bias", "bias")):
        if theirs[key] != (own := getattr(ours, key)):
            raise InvalidSettingError(
                f"{method.name}.{knob} is {own}, that of {method.config.start} {theirs[key]}; set both alike"
            )
    if set(theirs["target_modules"]) != set(ours.target_modules):
        raise InvalidSettingError(
            f"{method.name}.target_modules are not those of {method.config.start}; set both alike"
        )
    peft.set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))

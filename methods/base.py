"""What a method is: the `Method` class, and with it all that a method of your own has to import (`methods.types`).

A method says how the base model is loaded or wrapped, which parameters train, how an example is written, and
how training proceeds where that is not plain supervised training. It does not time, measure, seed, evaluate or
save records: the harness does, the same way for every method. This module imports no torch, so that methods can
be listed and their settings checked in milliseconds.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.feedback import Feedback, Observer
from methods.types import (
    Budget,
    BudgetUnit,
    Checkpoint,
    Example,
    Family,
    Limits,
    ModelFacts,
    Setting,
    State,
    StepEvent,
    Text,
    TrainingConfig,
    TrainingJob,
    require,
)

if TYPE_CHECKING:
    import torch

__all__ = [
    "Budget",
    "BudgetUnit",
    "Checkpoint",
    "Example",
    "Family",
    "Feedback",
    "Limits",
    "Method",
    "ModelFacts",
    "Observer",
    "Setting",
    "State",
    "StepEvent",
    "Text",
    "TrainingConfig",
    "TrainingJob",
    "require",
]


class Method(ABC):
    """A fine-tuning method. Subclass, set the class attributes, write `prepare`, and register one line.

    Instances hold only their config. All imports of torch or PEFT belong inside the methods.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `list methods`."""
    Config: ClassVar[type[Any]] = TrainingConfig
    """Frozen dataclass of the method's knobs."""
    families: ClassVar[tuple[Family, ...]] = ("decoder-only", "encoder-decoder")
    feedback: ClassVar[frozenset[str]] = frozenset()
    """What it learns from besides examples: `preferences`, `reward`."""
    trains: ClassVar[bool] = True
    """False for methods that only evaluate."""
    role: ClassVar[Literal["candidate", "base", "fake"]] = "candidate"
    """What the leaderboard makes of it: candidates are ranked, the base is what they are compared with."""

    def __init__(self, config: Any | None = None) -> None:
        self.config = self.Config() if config is None else config

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say in one sentence why this method cannot serve the model, or None where it can. Nothing is loaded yet."""
        if facts.family in self.families:
            return None
        return f"{self.name} works on {' and '.join(self.families)} models; {facts.name} is {facts.family}"

    def load_options(self, facts: ModelFacts, dtype: torch.dtype) -> Mapping[str, Any]:
        """Extra arguments for `from_pretrained`, such as a quantisation config for this device and compute dtype."""
        return {}

    @abstractmethod
    def prepare(self, model: Any, setting: Setting) -> Any:
        """Wrap the loaded model or set `requires_grad`, and return the model that will train and be evaluated."""

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """Write one example out. `choice` picks the phrasing: 0 in evaluation, drawn per example in training.

        The default writes an instruction, so that methods differ in what they train and in nothing else.
        """
        before, after = templates[choice % len(templates)].split("{input}")
        return Text(before, example.input, after, example.target, chat=True)

    def train(self, job: TrainingJob) -> None:
        """Train `job.model` in place. The default is the supervised engine that all supervised methods share."""
        from methods.engine.training import train_supervised

        train_supervised(self, job)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """What takes the steps of supervised training: AdamW. A parameter group's `rate_factor` scales its rate."""
        from methods.engine.training import adamw, trainable_parameters

        return adamw(trainable_parameters(model), self.config)

    def penalty(self, model: Any) -> Any:
        """What a step minimises besides the loss: a scalar tensor, or `None` for nothing. It is not reported."""
        return None

    def after_step(self, model: Any, step: int, progress: float) -> None:  # noqa: B027 – most have nothing to do
        """Called after each optimiser step (counted from 1) while its gradients are still there; for methods that
        change what trains as training goes on. `progress` is the share of the budget that is spent, 0 to 1."""

    def state(self, model: Any) -> State:
        """What a checkpoint keeps of the method besides weights and optimiser: what `after_step` has gathered."""
        return State()

    def restore(self, model: Any, state: State) -> None:  # noqa: B027
        """Take `state` back, in a training that goes on."""

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Return generated ids, as `model.generate` does; for methods whose batched generation needs care.

        Evaluation gives the `tokenizer` among `decoding`, which Transformers' `generate` takes too.
        """
        return model.generate(**inputs, **decoding)

    def save(self, model: Any, directory: Path) -> None:
        """Write what has to be shipped beside the base model (or instead of it) as safetensors."""
        model.save_pretrained(directory, safe_serialization=True)

    def load(self, model: Any, directory: Path) -> Any:
        """The tuned model again, of a freshly loaded base and what `save` wrote for it.

        The default knows PEFT's adapters and whole models.
        """
        if (directory / "adapter_config.json").is_file():
            import peft

            return peft.PeftModel.from_pretrained(model, directory)
        return type(model).from_pretrained(directory)

    @property
    def starts_from(self) -> str | None:
        """The variant of the same run whose result this one goes on from, or None; the harness runs that one first."""
        return None

    def settings(self) -> dict[str, Any]:
        """All knobs with their values, as JSON types."""
        return dataclasses.asdict(self.config)

"""The `Method` class, and everything else that a method of your own has to import (from `methods.types`).

A method says how the base model is loaded or wrapped, which parameters train, how an example is written as text, and
how training proceeds if it is not plain supervised training. It does not time, measure, seed, evaluate or save
records: the harness does that, the same way for every method. This module does not import torch, so methods can be
listed and their settings checked in milliseconds.
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
    """A fine-tuning method. Write a subclass, set the class attributes, define `prepare`, and register it in one line.

    Instances hold only their config. Import torch, PEFT and other heavy packages inside the functions.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `list methods`."""
    Config: ClassVar[type[Any]] = TrainingConfig
    """A frozen dataclass: the method's knobs."""
    families: ClassVar[tuple[Family, ...]] = ("decoder-only", "encoder-decoder")
    feedback: ClassVar[frozenset[str]] = frozenset()
    """What the method learns from besides examples: `preferences`, `reward`."""
    trains: ClassVar[bool] = True
    """False for methods that only evaluate."""
    role: ClassVar[Literal["candidate", "base", "fake"]] = "candidate"
    """How the leaderboard treats it: candidates are ranked, and compared with the base; fakes are for tests."""

    def __init__(self, config: Any | None = None) -> None:
        self.config = self.Config() if config is None else config

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say in one sentence why this method cannot train this model, or return None. Nothing is loaded yet."""
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
        """Write one example as text. `choice` picks the phrasing: 0 in evaluation, drawn per example in training.

        By default the text is an instruction, so that methods differ only in what they train.
        """
        before, after = templates[choice % len(templates)].split("{input}")
        return Text(before, example.input, after, example.target, chat=True)

    def train(self, job: TrainingJob) -> None:
        """Train `job.model` in place. The default is the training loop that all supervised methods share."""
        from methods.engine.training import train_supervised

        train_supervised(self, job)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Return the optimiser of supervised training, AdamW. `rate_factor` of a parameter group scales its rate."""
        from methods.engine.training import find_trainable_parameters, make_adamw

        return make_adamw(find_trainable_parameters(model), self.config)

    def penalty(self, model: Any) -> Any:
        """Return a term that is added to the loss of each step, a scalar tensor, or `None`. It is not reported."""
        return None

    def after_step(self, model: Any, step: int, progress: float) -> None:  # noqa: B027 – most have nothing to do
        """Called after each optimiser step (counted from 1), before gradients are cleared. For methods that change what
        trains during training. `progress` is the share of the budget that is used, 0 to 1."""

    def state(self, model: Any) -> State:
        """Return what a checkpoint saves of the method besides weights and optimiser, such as `after_step`'s counts."""
        return State()

    def restore(self, model: Any, state: State) -> None:  # noqa: B027
        """Restore what `state` returned, when an interrupted training continues."""

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Return generated ids, as `model.generate` does. For methods whose generation in batches needs special care.

        In evaluation `decoding` contains the `tokenizer`, which Transformers' `generate` accepts too.
        """
        return model.generate(**inputs, **decoding)

    def save(self, model: Any, directory: Path) -> None:
        """Save what has to be shipped with the base model (or instead of it) as safetensors."""
        model.save_pretrained(directory, safe_serialization=True)

    def load(self, model: Any, directory: Path) -> Any:
        """Rebuild the tuned model from a freshly loaded base and what `save` wrote.

        The default handles PEFT adapters and whole models.
        """
        if (directory / "adapter_config.json").is_file():
            import peft

            return peft.PeftModel.from_pretrained(model, directory)
        return type(model).from_pretrained(directory)

    @property
    def starts_from(self) -> str | None:
        """The variant of the same run that this one continues from, or None. The harness runs that one first."""
        return None

    def settings(self) -> dict[str, Any]:
        """All knobs and their values, as JSON types."""
        return dataclasses.asdict(self.config)

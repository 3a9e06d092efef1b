"""The values that the harness and a method exchange: examples, model facts, budgets, step events and training jobs.

Frozen dataclasses, and the few interfaces that a method gets. Nothing heavy is imported, so methods can be listed and
their settings checked in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from methods.errors import RuleError
from methods.feedback import Feedback, Observer
from methods.knobs import knob

if TYPE_CHECKING:
    import torch

Family = Literal["decoder-only", "encoder-decoder", "toy"]
BudgetUnit = Literal["steps", "epochs", "tokens", "minutes"]


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a task: an input text and one or more reference texts; the first reference is the training target."""

    id: str
    input: str
    references: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs that the references state, if the task knows them; derived preferences use them."""

    @property
    def target(self) -> str:
        """The text that training teaches: the first reference."""
        return self.references[0]


@dataclass(frozen=True, slots=True)
class Text:
    """One example written out. The prompt is `before + input + after`; only `input` may be cut to fit.

    With `chat`, the prompt becomes a user turn of the tokenizer's chat template, where it has one.
    """

    before: str
    input: str
    after: str
    response: str
    chat: bool = False


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known about a base model before its weights are loaded."""

    name: str
    family: Family
    architecture: str
    """Class name from the model's config, such as `LlamaForCausalLM`."""
    device: str
    """`cpu`, `cuda` or `mps`: where the trial will run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sequence limits, in tokens of the base model's tokenizer."""

    input_tokens: int
    """Maximum for the whole prompt. A longer prompt loses the end of its input text, never its instruction."""
    target_tokens: int
    """Maximum for the target with its end token. A longer target is cut and keeps its end token."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long every method may train: one unit, one amount, the same for all."""

    unit: BudgetUnit
    amount: float

    def progress(self, *, steps: int, epochs: float, tokens: int, seconds: float) -> float:
        """Share of the budget that is used: 0 at the start, 1 at the end, more if a step went beyond it.

        `tokens` are real (non-padding) training tokens; `seconds` is time spent training.
        """
        spent = {"steps": steps, "epochs": epochs, "tokens": tokens, "minutes": seconds / 60}[self.unit]
        return spent / self.amount

    def __str__(self) -> str:
        return f"{self.unit}={self.amount:g}"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What a training reports after each optimiser step. Counts are of this step only, without padding."""

    step: int
    """Number of this step, counted from 1."""
    progress: float
    """Share of the budget used, 0 to 1."""
    loss: float
    """Mean cross-entropy per target token, in nats."""
    learning_rate: float
    tokens: int
    """Non-padding tokens that the model processed: prompt and target, in one row or in encoder and decoder."""
    target_tokens: int
    """Tokens that the loss is computed on."""
    examples: int
    cut: int = 0
    """Examples whose input or target exceeded the limits and was cut."""
    stage: str = ""
    """The stage that this step belongs to, for methods in stages. `loss` is that of the stage."""
    evaluable: bool = True
    """Whether the job's model can be evaluated now. It cannot while a reward model is trained."""


@dataclass(frozen=True)
class Setting:
    """What a method gets when it wraps the model."""

    facts: ModelFacts
    dtype: torch.dtype
    """Compute dtype; frozen weights are held in it, trainable ones in float32."""
    tokenizer: Any
    examples: Sequence[Example]
    """Training examples, for methods whose initial weights depend on data."""
    templates: Sequence[str]
    limits: Limits
    seed: int


@dataclass(frozen=True)
class State:
    """What a checkpoint saves of one part of a training: tensors and JSON values, by name."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Checkpoint:
    """Saves a training's state from time to time. This class saves nothing; the worker's subclass writes a file."""

    def kept(self) -> State | None:
        """The state that an interrupted run of this training saved, or `None` if there is none."""
        return None

    def resume(self) -> None:
        """Restore the weights and random state that belong to `kept`. Call it right before the training continues."""

    def step(self, state: Callable[[], State]) -> None:
        """Call it after each complete optimiser step: saves the state if it is time to, and may then end the trial."""

    def ended(self, state: Callable[[], State]) -> None:
        """Call it when the training, or a stage of it, is over: saves the state if the trial is long enough."""


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a training needs. `Method.train` gets it after the model is wrapped."""

    model: Any
    tokenizer: Any
    facts: ModelFacts
    examples: Sequence[Example]
    validation: Sequence[Example]
    templates: Sequence[str]
    """Prompt phrasings of the task, each with `{input}` once."""
    budget: Budget
    limits: Limits
    batch_size: int
    """Examples per forward pass."""
    accumulation: int
    """Forward passes per optimiser step; the effective batch is `batch_size * accumulation`."""
    seed: int
    dtype: torch.dtype
    emit: Callable[[StepEvent], None]
    clock: Callable[[], float]
    """Monotonic seconds. The clock stops while a checkpoint is written or the learning curve is measured; only a budget
    in minutes depends on it."""
    feedback: Feedback = Feedback()
    """Preferences and rewards, for methods that learn from more than examples."""
    observer: Observer = Observer()
    """Receives what a method in stages reports about them."""
    checkpoint: Checkpoint = Checkpoint()
    """Saves the state of a long training, and returns the state of an interrupted one."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Knobs of the supervised training loop, shared by every method that trains with it.

    The optimisation is that of BERT-style fine-tuning, which is also the default of Transformers' `Trainer`: AdamW
    (Loshchilov & Hutter 2019) with betas 0.9 and 0.999, and the gradient norm clipped to 1.0.
    """

    learning_rate: float = knob(2e-4, "Peak learning rate.")
    warmup: float = knob(0.05, "Share of the budget over which the learning rate rises linearly.")
    schedule: Literal["cosine", "linear", "constant"] = knob(
        "cosine",
        "How the learning rate falls to zero after the warm-up; `constant` does not fall.",
    )
    weight_decay: float = knob(0.0, "Decoupled weight decay of matrices; `Trainer`'s default.")
    max_grad_norm: float = knob(
        1.0, "Gradients with a larger global norm are scaled down to this norm; `Trainer`'s default."
    )

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "must be above 0")
        require(0 <= self.warmup < 1, "warmup", "must be at least 0 and below 1")
        require(self.weight_decay >= 0, "weight_decay", "must not be negative")
        require(self.max_grad_norm > 0, "max_grad_norm", "must be above 0")


def require(condition: bool, knob: str, rule: str) -> None:
    """Raise `RuleError`, a `ValueError`, unless the condition holds. For `__post_init__` of configs."""
    if not condition:
        raise RuleError(knob, rule)


class SupervisedMethod(Protocol):
    """What the supervised training loop needs of a method; `methods.base.Method` documents each of these."""

    config: Any

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """Write one example as text."""
        ...

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Return the optimiser."""
        ...

    def penalty(self, model: Any) -> Any:
        """Return a term that is added to the loss."""
        ...

    def after_step(self, model: Any, step: int, progress: float) -> None:
        """Called after each optimiser step."""
        ...

    def state(self, model: Any) -> State:
        """Return what a checkpoint saves of the method."""
        ...

    def restore(self, model: Any, state: State) -> None:
        """Restore what `state` returned."""
        ...

"""What crosses between the harness and a method: examples, facts, budgets, steps, and a training with all it needs.

Frozen values and the few interfaces that a method is given. Nothing heavy is imported, so that methods can be listed
and their settings checked in milliseconds.
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
    """(name, value) pairs that the references state, where the task knows them; what preferences are derived from."""

    @property
    def target(self) -> str:
        """The text that training teaches."""
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
    """What is known of a base model before its weights are loaded."""

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
    """The whole prompt; a longer one loses the end of its input text, never its instruction."""
    target_tokens: int
    """Target with its end token; a longer target is cut before the end token."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long every method may train: one unit, one amount, the same for all."""

    unit: BudgetUnit
    amount: float

    def progress(self, *, steps: int, epochs: float, tokens: int, seconds: float) -> float:
        """Share of the budget that is spent, from 0 to 1 and beyond.

        `tokens` are real (non-padding) training tokens; `seconds` is time spent training.
        """
        spent = {"steps": steps, "epochs": epochs, "tokens": tokens, "minutes": seconds / 60}[self.unit]
        return spent / self.amount

    def __str__(self) -> str:
        return f"{self.unit}={self.amount:g}"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What the engine tells after each optimiser step. Counts are of this step alone, padding left out."""

    step: int
    """Steps done, from 1."""
    progress: float
    """Share of the budget spent, 0 to 1."""
    loss: float
    """Mean cross-entropy per target token, in nats."""
    learning_rate: float
    tokens: int
    """Real tokens that went through the model: prompt and target of decoder-only, encoder and decoder else."""
    target_tokens: int
    """Tokens that carried loss."""
    examples: int
    cut: int = 0
    """Examples whose input or target was cut to the limits."""
    stage: str = ""
    """Which stage of a staged method stepped. `loss` of other stages than a supervised one is the stage's own."""
    evaluable: bool = True
    """Whether the job's model can be evaluated now; not while another, such as a reward model, plays in its place."""


@dataclass(frozen=True)
class Setting:
    """What a method may know while it wraps the model."""

    facts: ModelFacts
    dtype: torch.dtype
    """Compute dtype; frozen weights are held in it, trainable ones in float32."""
    tokenizer: Any
    examples: Sequence[Example]
    """Training examples, for methods whose start depends on data."""
    templates: Sequence[str]
    limits: Limits
    seed: int


@dataclass(frozen=True)
class State:
    """What has to be kept of something: tensors and JSON values, by name."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Checkpoint:
    """Keeps a training's state from time to time. This one keeps nothing; the worker's writes a file."""

    def kept(self) -> State | None:
        """What an interrupted run of this training has kept; `None` where it begins at the beginning."""
        return None

    def resume(self) -> None:
        """Bring back the weights and random numbers that belong to `kept`; to be called where the training goes on."""

    def step(self, state: Callable[[], State]) -> None:
        """An optimiser step is done, all of it: keep the state, if it is time to. May end the trial after it."""

    def ended(self, state: Callable[[], State]) -> None:
        """The training, or a stage of it, is over: keep that, if the trial is long enough to keep anything."""


@dataclass(frozen=True)
class TrainingJob:
    """All that training needs; given to `Method.train` once the model is wrapped."""

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
    """Monotonic seconds, which stand still while a checkpoint is written or the learning curve gets a point; only a
    budget in minutes depends on it."""
    feedback: Feedback = Feedback()
    """What methods that learn from preferences or rewards are given besides the examples."""
    observer: Observer = Observer()
    """Takes what a staged method tells of its stages."""
    checkpoint: Checkpoint = Checkpoint()
    """Keeps the state of a long training, and gives back that of one that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Knobs of the supervised engine, shared by every method that trains with it.

    The rules of optimisation are those of BERT-style fine-tuning that Transformers' `Trainer` also defaults to:
    AdamW (Loshchilov & Hutter 2019) with betas 0.9 and 0.999, gradient norm clipped to 1.0.
    """

    learning_rate: float = knob(2e-4, "Peak learning rate.")
    warmup: float = knob(0.05, "Share of the budget over which the learning rate rises linearly.")
    schedule: Literal["cosine", "linear", "constant"] = knob(
        "cosine",
        "Fall of the learning rate to zero after the warm-up.",
    )
    weight_decay: float = knob(0.0, "Decoupled weight decay on matrices; `Trainer`'s default.")
    max_grad_norm: float = knob(1.0, "Gradients are scaled down to this global norm; `Trainer`'s default.")

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "must be above 0")
        require(0 <= self.warmup < 1, "warmup", "must be at least 0 and below 1")
        require(self.weight_decay >= 0, "weight_decay", "must not be negative")
        require(self.max_grad_norm > 0, "max_grad_norm", "must be above 0")


def require(condition: bool, knob: str, rule: str) -> None:
    """Raise `RuleError`, a `ValueError`, unless the condition holds; for `__post_init__` of configs."""
    if not condition:
        raise RuleError(knob, rule)


class SupervisedMethod(Protocol):
    """What the supervised engine asks of a method; `methods.base.Method` says what each of these does."""

    config: Any

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """Write one example out."""
        ...

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """What takes the steps."""
        ...

    def penalty(self, model: Any) -> Any:
        """What a step minimises besides the loss."""
        ...

    def after_step(self, model: Any, step: int, progress: float) -> None:
        """Called after each optimiser step."""
        ...

    def state(self, model: Any) -> State:
        """What a checkpoint keeps of the method."""
        ...

    def restore(self, model: Any, state: State) -> None:
        """Take `state` back."""
        ...

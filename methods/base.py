"""What a method is: the `Method` class and the small frozen dataclasses that it speaks.

A method says how the base model is loaded or wrapped, which parameters train, how an example is written, and
how training proceeds where that is not plain supervised training. It does not time, measure, seed, evaluate or
save records: the harness does, the same way for every method. This module imports no torch, so that methods can
be listed and their settings checked in milliseconds.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.checkpoint import Checkpoint, State
from methods.errors import RuleError
from methods.feedback import Feedback, Observer

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

    learning_rate: float = 2e-4
    """Peak learning rate."""
    warmup: float = 0.05
    """Share of the budget over which the learning rate rises linearly."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Fall of the learning rate to zero after the warm-up."""
    weight_decay: float = 0.0
    """Decoupled weight decay on matrices; `Trainer`'s default."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm; `Trainer`'s default."""

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "must be above 0")
        require(0 <= self.warmup < 1, "warmup", "must be at least 0 and below 1")
        require(self.weight_decay >= 0, "weight_decay", "must not be negative")
        require(self.max_grad_norm > 0, "max_grad_norm", "must be above 0")


def require(condition: bool, knob: str, rule: str) -> None:
    """Raise `RuleError`, a `ValueError`, unless the condition holds; for `__post_init__` of configs."""
    if not condition:
        raise RuleError(knob, rule)


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
        from methods.training import train_supervised

        train_supervised(self, job)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """What takes the steps of supervised training: AdamW. A parameter group's `rate_factor` scales its rate."""
        from methods.training import adamw, trainable_parameters

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

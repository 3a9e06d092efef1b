"""The supervised training loop that all supervised methods share, in plain PyTorch.

With a loop of our own, every unit of the budget means the same for all methods, and the harness does all measuring. Its
overhead over a minimal loop is measured in tests/benchmarks. On a CPU it is deterministic for a given seed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods.engine.encoding import IGNORED, Encoder
from methods.engine.loss import compute_loss
from methods.engine.training_state import load_optimiser_state, pack_states, read_optimiser_state, unpack_states
from methods.errors import DivergedError
from methods.types import Example, State, StepEvent, SupervisedMethod, TrainingConfig, TrainingJob

if TYPE_CHECKING:
    import torch

LENGTH_WINDOW = 50
"""Examples are sorted by length within this many batches to reduce padding, as Transformers' grouped sampler does."""


def train_supervised(method: SupervisedMethod, job: TrainingJob) -> None:
    """Train `job.model` in place until the budget is spent, emitting one `StepEvent` per optimiser step.

    The loss of a step is the mean over all target tokens of the effective batch, however it is split into forward
    passes. Raises `DivergedError` as soon as the loss is not finite.
    """
    import torch

    config: TrainingConfig = method.config
    cast_trainable_to_float32(job.model)
    parameters = find_trainable_parameters(job.model)
    optimizer = method.optimizer(job.model)
    scaler = torch.amp.GradScaler(job.facts.device, enabled=job.dtype == torch.float16)
    encoder = Encoder(job.tokenizer, job.facts.family, job.limits)
    kept = {}
    if (earlier := job.checkpoint.kept()) is not None:
        parts = unpack_states(earlier)
        load_optimiser_state(optimizer, parts["engine"].tensors)
        scaler.load_state_dict(parts["engine"].values["scaler"])
        method.restore(job.model, parts["method"])
        kept = parts["engine"].values["course"]
        job.checkpoint.resume()

    job.model.train()
    done = Progress(job, **kept)

    def state() -> State:
        # A finished training needs its optimiser no more.
        tensors = {} if done.over else read_optimiser_state(optimizer)
        own = State(tensors, {"course": done.values(), "scaler": scaler.state_dict()})
        return pack_states({"engine": own, "method": method.state(job.model)})

    batches = draw_batches(job.examples, job.batch_size * job.accumulation, job.seed)
    for epoch, chosen in itertools.islice(batches, done.steps, None):
        if done.over:
            break
        # Taken at the middle of the step, so that neither the first nor the last step has a learning rate of zero.
        rate = config.learning_rate * scale_learning_rate(done.middle, config.warmup, config.schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)

        encoded = encoder.encode_all(
            [method.write(job.examples[i], job.templates, choose_phrasing(job, epoch, i)) for i in chosen]
        )
        loss, tokens, targets = _compute_gradients(job, encoder, encoded, scaler)
        if not math.isfinite(loss):
            raise DivergedError(done.steps + 1, loss)
        if (penalty := method.penalty(job.model)) is not None:
            scaler.scale(penalty).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        done.advance(examples=len(chosen), tokens=tokens)
        method.after_step(job.model, done.steps, min(done.progress, 1.0))
        optimizer.zero_grad(set_to_none=True)

        cut = sum(item.cut for item in encoded)
        job.emit(StepEvent(done.steps, min(done.progress, 1.0), loss, rate, tokens, targets, len(chosen), cut))
        job.checkpoint.step(state)
    job.model.eval()
    job.checkpoint.ended(state)


@dataclass
class Progress:
    """How much of its budget a training has used. It starts at zero, or at the values of an interrupted run."""

    job: TrainingJob
    steps: int = 0
    examples: int = 0
    tokens: int = 0
    """Real tokens that went through the model."""
    progress: float = 0.0
    """Share of the budget that is used, 0 to 1."""
    share: float = 0.0
    """Share of the budget that the last step used."""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._started = self.job.clock() - self.seconds

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.progress >= 1 - 1e-9  # a sum of shares may fall short of 1 by rounding

    @property
    def middle(self) -> float:
        """The share used half-way through the next step, which is assumed to use as much as the last one did."""
        budget = self.job.budget
        return self.progress + (1 / budget.amount if budget.unit == "steps" else self.share) / 2

    def advance(self, *, examples: int, tokens: int) -> None:
        """Count a step that has just ended."""
        job, before = self.job, self.progress
        self.steps, self.examples, self.tokens = self.steps + 1, self.examples + examples, self.tokens + tokens
        self.seconds = job.clock() - self._started
        self.progress = job.budget.progress(
            steps=self.steps,
            epochs=self.examples / len(job.examples),
            tokens=self.tokens,
            seconds=self.seconds,
        )
        self.share = self.progress - before

    def values(self) -> dict[str, Any]:
        """The fields that a checkpoint saves, to be given to a new `Progress` as arguments."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "job"}


def cast_trainable_to_float32(model: torch.nn.Module) -> None:
    """Cast trainable weights to float32: small updates are lost in 16-bit weights. Frozen weights are left alone."""
    import torch

    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()


def draw_batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (epoch, indices) without end. The order depends only on data and seed, so it is the same for every method.

    Examples are shuffled, then sorted by length in characters within windows of `LENGTH_WINDOW` batches, and the
    batches of a window are shuffled again.
    """
    lengths = [len(example.input) + len(example.target) for example in examples]
    epoch = 0
    while True:
        dice = random.Random(f"order/{seed}/{epoch}")
        order = dice.sample(range(len(examples)), len(examples))
        for start in range(0, len(order), window := size * LENGTH_WINDOW):
            ranked = sorted(order[start : start + window], key=lengths.__getitem__)
            batches = [ranked[i : i + size] for i in range(0, len(ranked), size)]
            dice.shuffle(batches)
            for batch in batches:
                yield epoch, batch
        epoch += 1


def choose_phrasing(job: TrainingJob, epoch: int, index: int) -> int:
    """Choose which of the task's phrasings an example gets in this epoch; it is the same for every method."""
    return random.Random(f"phrasing/{job.seed}/{epoch}/{index}").randrange(len(job.templates))


def scale_learning_rate(progress: float, warmup: float, shape: str) -> float:
    """Factor on the peak learning rate, 0 to 1: linear warm-up, then the chosen fall to zero at progress 1."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return progress / warmup
    rest = (progress - warmup) / (1 - warmup)
    return {"constant": 1.0, "linear": 1 - rest, "cosine": (1 + math.cos(math.pi * rest)) / 2}[shape]


def find_trainable_parameters(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The trainable weights, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_adamw(parameters: Sequence[torch.nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """An AdamW optimiser of these weights, as `TrainingConfig` describes it."""
    import torch

    return torch.optim.AdamW(group_by_weight_decay(parameters, config.weight_decay), lr=config.learning_rate)


def group_by_weight_decay(parameters: Sequence[torch.nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Parameter groups with weight decay on matrices only: biases and norms have none, as is usual."""
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _compute_gradients(
    job: TrainingJob, encoder: Encoder, encoded: Sequence[Any], scaler: Any
) -> tuple[float, int, int]:
    """Accumulate the gradients of one effective batch; return its loss, real tokens and target tokens."""
    import torch

    targets = sum(len(item.response) for item in encoded)
    tokens = sum(len(item.prompt) + len(item.response) for item in encoded)
    device, mixed = job.facts.device, job.dtype != torch.float32
    total = 0.0
    for start in range(0, len(encoded), job.batch_size):
        batch = encoder.training_batch(encoded[start : start + job.batch_size])
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        share = (batch["labels"] != IGNORED).sum() / targets
        with torch.autocast(device, dtype=job.dtype, enabled=mixed):
            loss = compute_loss(job.model, batch) * share
        scaler.scale(loss).backward()
        total += loss.item()
    return total, tokens, targets

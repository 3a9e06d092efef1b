"""Runs one of TRL's trainers as a stage of a trial, with the same budget, schedule and step events as all methods.

TRL computes the losses; the batches come from the harness's own encoder.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers

from methods.engine.training import Progress, cast_trainable_to_float32, scale_learning_rate
from methods.errors import DivergedError
from methods.types import StepEvent, TrainingConfig, TrainingJob

UNLIMITED_STEPS = 1_000_000
"""Number of steps of a trainer whose budget is not in steps; the callback ends it earlier."""


def run_trainer(
    trainer_class: type[Any],
    settings_class: type[Any],
    job: TrainingJob,
    config: TrainingConfig,
    model: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any] | None = None,
    collate: Callable[[Any], Any] | None = None,
    after_step: Callable[[StepEvent, Mapping[str, float]], bool] | None = None,
    **options: Any,
) -> None:
    """Train `model` on `rows` until the job's budget is spent or `after_step` returns True.

    `after_step` gets each step's event and what the trainer logged. `options` are passed to the trainer. Raises
    `DivergedError` as soon as a loss is not finite.
    """
    import datasets

    datasets.disable_progress_bars()  # a log file is not a terminal
    cast_trainable_to_float32(model)
    with restore_forward_methods(model), tempfile.TemporaryDirectory() as folder:
        arguments = settings_class(
            output_dir=folder,
            max_steps=int(job.budget.amount) if job.budget.unit == "steps" else UNLIMITED_STEPS,
            per_device_train_batch_size=job.batch_size,
            gradient_accumulation_steps=job.accumulation,
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant",  # the callback sets the rate, by the share of the budget that is spent
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            seed=job.seed,
            use_cpu=job.facts.device == "cpu",
            bf16=job.dtype == torch.bfloat16,
            fp16=job.dtype == torch.float16,
            gradient_checkpointing=False,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            **settings or {},
        )
        arguments._n_gpu = 1  # a trial uses one device; with several, some trainers refuse and others split batches
        callback = BudgetCallback(job, config, after_step)
        counting = type(trainer_class.__name__, (CountTokens, trainer_class), {"budget_callback": callback})
        trainer = counting(
            model=model,
            args=arguments,
            train_dataset=datasets.Dataset.from_list([dict(row) for row in rows]),
            processing_class=job.tokenizer,
            data_collator=collate,
            callbacks=[callback],
            **options,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    model.eval()


class CountTokens:
    """A mixin for trainers that tells the callback which batches the model trains on."""

    budget_callback: BudgetCallback
    model: Any

    def compute_loss(self, model: Any, inputs: Mapping[str, Any], *arguments: Any, **named: Any) -> Any:
        """Count the batch, then compute the trainer's loss."""
        if self.model.training:
            self.budget_callback.count(inputs)
        return super().compute_loss(model, inputs, *arguments, **named)  # type: ignore[misc]

    def _send_telemetry(self) -> None:
        """Send no telemetry."""


class BudgetCallback(transformers.TrainerCallback):  # type: ignore[misc]
    """Sets the learning rate, counts tokens, emits step events, and ends training when the budget is used."""

    def __init__(
        self,
        job: TrainingJob,
        config: TrainingConfig,
        after_step: Callable[[StepEvent, Mapping[str, float]], bool] | None,
    ) -> None:
        self.job = job
        self.config = config
        self.after_step = after_step
        self.progress = Progress(job)
        self.tokens = self.examples = 0
        self.rate = 0.0

    def count(self, inputs: Mapping[str, Any]) -> None:
        """Count a batch of the current step. A row with a chosen and a rejected response counts as two examples."""
        masks = [value for name, value in inputs.items() if name.endswith("attention_mask") and value is not None]
        self.tokens += sum(int(mask.sum()) for mask in masks)
        self.examples += max((len(mask) for mask in masks), default=0)

    def on_step_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        """Set the learning rate for the middle of the step, as the supervised training loop does."""
        factor = scale_learning_rate(self.progress.middle, self.config.warmup, self.config.schedule)
        self.rate = self.config.learning_rate * factor
        for group in optimizer.param_groups:
            group["lr"] = self.rate

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Emit the event of a finished step, and end training if the budget is used."""
        if "loss" not in logs:  # the summary at the end of training
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise DivergedError(state.global_step, loss)
        self.progress.advance(examples=self.examples, tokens=self.tokens)
        step, progress = self.progress.steps, min(1.0, self.progress.progress)
        event = StepEvent(step, progress, loss, self.rate, self.tokens, self.tokens, self.examples)
        self.tokens = self.examples = 0
        self.job.emit(event)
        enough = self.after_step(event, logs) if self.after_step else False
        if enough or self.progress.over:
            control.should_training_stop = True


@contextlib.contextmanager
def restore_forward_methods(model: Any) -> Iterator[None]:
    """Restore modules whose `forward` trainers replace: TRL fuses the output head, Accelerate adds mixed precision."""
    names = ("forward", "_original_forward")
    before = {
        module: {name: vars(module)[name] for name in names if name in vars(module)} for module in model.modules()
    }
    try:
        yield
    finally:
        for module, kept in before.items():
            for name in names:
                vars(module).pop(name, None)
            vars(module).update(kept)

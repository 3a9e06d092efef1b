"""The base class of methods that train on preference pairs directly, without a reward model or sampling.

Warm start → preferences → one of TRL's trainers, which computes the loss. Tokens, batches, budget, learning rate and
step events are the harness's own, so that these methods differ from the others only in the loss.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from methods.engine.encoding import IGNORED, Encoded, Encoder
from methods.knobs import knob
from methods.rlhf.staged import StagedConfig, StagedMethod, StageRunner
from methods.types import ModelFacts, StepEvent, TrainingJob, require

Collate = Callable[[Encoder, list[Encoded], list[Encoded]], dict[str, Any]]
"""(encoder, chosen responses with their prompts, rejected ones) → the batch that the trainer's loss expects."""


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(StagedConfig):
    """Knobs of every method that learns from preference pairs directly."""

    preference_learning_rate: float = knob(
        1e-5,
        "Peak learning rate of the stage that learns from preferences, as TRL's documentation advises for adapters. "
        "With `peft=none`, TRL's default of 1e-6 is usual.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.preference_learning_rate > 0, "preference_learning_rate", "must be above 0")


@dataclass(frozen=True)
class TrainerSetup:
    """Which of TRL's trainers computes the loss, with which settings and batches."""

    trainer: type[Any]
    settings_class: type[Any]
    settings: Mapping[str, Any]
    collate: Collate


class PreferenceMethod(StagedMethod):
    """A method that learns from preference pairs with one of TRL's trainers, which subclasses choose."""

    Config = PreferenceConfig
    has_reference: ClassVar[bool] = False
    """Whether the loss compares the policy with the warm start."""

    @abstractmethod
    def set_up_trainer(self) -> TrainerSetup:
        """Return the trainer with this method's knobs."""

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if TRL's trainer does not support the model's family."""
        if facts.family == "encoder-decoder" and facts.family not in self.families:
            return f"{self.name} uses a trainer for decoder-only models only; {facts.name} is {facts.family}"
        return super().unsupported(facts)

    def learn(self, runner: StageRunner) -> None:
        """Gather preferences, then train the policy on them, and measure it before and after."""
        from methods.rlhf import heldout, pairs
        from methods.rlhf.policy import thin_out

        job, observer = runner.job, runner.job.observer
        encoder = Encoder(job.tokenizer, job.facts.family, job.limits)
        found = self.preferences(runner, encoder)
        taught, measured = (
            pairs.encode_pairs(self, encoder, job.templates, part) for part in (found.train, found.heldout)
        )

        def measure(when: str) -> dict[str, float | None]:
            return {
                f"preference_accuracy_{when}": heldout.measure_preference_accuracy(job.model, job, encoder, measured),
                f"heldout_quality_{when}": heldout.measure_greedy_quality(self, job, encoder),
            }

        def tune() -> dict[str, Any]:
            curve = self._tune(runner.part("preference_tuning", runner.left), encoder, taught)
            observer.details({"preference_tuning": {"loss": self.name, "curve": thin_out(curve)}})
            return {}

        def compare() -> dict[str, Any]:
            observer.metrics({**before, **measure("final")})
            return {}

        before = runner.stage("held_out_start", lambda: measure("start"))
        runner.stage("preference_tuning", tune)
        runner.stage("held_out_final", compare)

    def _tune(
        self, job: TrainingJob, encoder: Encoder, encoded: Sequence[tuple[Encoded, Encoded]]
    ) -> list[dict[str, Any]]:
        """Train the job's model on these pairs until the budget is used; return the curve of its steps."""
        from methods.rlhf import trainer

        recipe = self.set_up_trainer()
        curve: list[dict[str, Any]] = []

        def after_step(event: StepEvent, logs: Mapping[str, float]) -> bool:
            accuracy, margin = logs.get("rewards/accuracies"), logs.get("rewards/margins")
            curve.append({"step": event.step, "loss": event.loss, "accuracy": accuracy, "margin": margin})
            return False

        def collate(rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Any]:
            sides = ("chosen_ids", "rejected_ids")
            return recipe.collate(
                encoder, *([Encoded(row["prompt_ids"], row[side], False) for row in rows] for side in sides)
            )

        with self._reference(job.model) as reference:
            trainer.run_trainer(
                type(recipe.trainer.__name__, (PreparedBatches, recipe.trainer), {}),
                recipe.settings_class,
                job,
                dataclasses.replace(self.config, learning_rate=self.config.preference_learning_rate),
                job.model,
                [{"prompt_ids": c.prompt, "chosen_ids": c.response, "rejected_ids": r.response} for c, r in encoded],
                settings={"disable_dropout": False, **recipe.settings},
                collate=collate,
                after_step=after_step,
                **reference,
            )
        return curve

    @contextlib.contextmanager
    def _reference(self, model: Any) -> Iterator[dict[str, Any]]:
        """Give the trainer's arguments that make the model as it is now the reference.

        With an adapter, the trainer itself adds a frozen copy of it, which is removed here at the end. Without one, all
        weights are copied here.
        """
        from methods.rlhf.roles import REFERENCE, Roles

        roles = Roles(model)
        if self.has_reference and not roles.adapters:
            yield {"ref_model": copy.deepcopy(model).requires_grad_(False).eval()}
            return
        yield {}
        if self.has_reference:
            roles.drop(REFERENCE)


class PreparedBatches:
    """A mixin for TRL's trainers, which then use the harness's rows and batches and no dropout at all.

    TRL would tokenize prompts and responses itself, without the limits and end tokens of the other methods, and its
    own option for dropout misses the dropout in attention layers. With dropout a policy would differ from its reference
    before it has learned anything.
    """

    model: Any
    train_dataset: Any
    args: Any

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        """Compute the trainer's loss with all submodules, but not the model itself, in evaluation mode."""
        for child in self.model.children():
            child.eval()
        return super().compute_loss(*arguments, **named)  # type: ignore[misc]

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # for DPO and KTO

    @staticmethod  # static, since datasets hashes the function that it maps, and a bound method with trainer and model
    def tokenize_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row, which is tokenized already (ORPO and CPO call this)."""
        return row

    def concatenated_inputs(self, batch: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        """Return the batch, which already holds chosen and rejected responses (ORPO and CPO call this)."""
        return batch

    def _get_train_sampler(self, *_: Any) -> Any:
        import torch

        # KTO would not shuffle, because of how it makes its own batches.
        return torch.utils.data.RandomSampler(
            self.train_dataset, generator=torch.Generator().manual_seed(self.args.seed)
        )


def collate_with_completion_mask(encoder: Encoder, rows: Sequence[Encoded]) -> dict[str, Any]:
    """Make a batch as DPO and KTO expect it, with a mask that marks the tokens of the response."""
    batch = encoder.training_batch(rows)
    batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()
    return batch


def collate_concatenated(encoder: Encoder, chosen: list[Encoded], rejected: list[Encoded]) -> dict[str, Any]:
    """Make a batch as ORPO and CPO expect it: chosen and rejected responses with labels, for both model families."""
    made = encoder.training_batch([*chosen, *rejected])
    batch = {f"concatenated_{name}": tensor for name, tensor in made.items()}
    if encoder.family == "encoder-decoder":  # used only to count tokens
        batch["concatenated_decoder_attention_mask"] = (made["labels"] != IGNORED).long()
    return {**batch, "chosen_labels": made["labels"][: len(chosen)]}


def import_experimental(name: str) -> Any:
    """Import a module of `trl.experimental` without its warning that it may change: constraints.txt pins TRL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"trl.experimental.{name}")

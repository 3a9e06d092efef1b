"""The cheaper relatives of `rlhf`: preferences go straight into the policy, without a reward model or sampling.

Warm start → preferences → one of TRL's trainers, which computes the loss. Tokens, batches, budget, learning rate and
step events are ours, so that these methods differ from the others in the loss and in nothing else.
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
"""(encoder, chosen responses with their prompts, rejected ones) → the batch that a trainer's loss reads."""


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(StagedConfig):
    """Knobs of every method that learns from preference pairs directly."""

    preference_learning_rate: float = knob(
        1e-5,
        "Peak rate of learning from preferences; what TRL's documentation advises for adapters. With `peft=none`, "
        "TRL's default of 1e-6 is usual.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.preference_learning_rate > 0, "preference_learning_rate", "must be above 0")


@dataclass(frozen=True)
class TrainerSetup:
    """Which of TRL's trainers computes the loss, and from what."""

    trainer: type[Any]
    settings_class: type[Any]
    settings: Mapping[str, Any]
    collate: Collate


class PreferenceMethod(StagedMethod):
    """A method that learns from preference pairs with one of TRL's trainers. Subclasses name it, in `recipe`."""

    Config = PreferenceConfig
    has_reference: ClassVar[bool] = False
    """Whether the loss compares the policy with the warm start."""

    @abstractmethod
    def recipe(self) -> TrainerSetup:
        """The trainer, with this method's knobs."""

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so where TRL's trainer does not take the model's family."""
        if facts.family == "encoder-decoder" and facts.family not in self.families:
            return f"{self.name} uses a trainer that takes decoder-only models alone; {facts.name} is {facts.family}"
        return super().unsupported(facts)

    def learn(self, ledger: StageRunner) -> None:
        """Preferences, then the policy, measured before and after."""
        from methods.rlhf import heldout, pairs
        from methods.rlhf.policy import thin_out

        job, observer = ledger.job, ledger.job.observer
        encoder = Encoder(job.tokenizer, job.facts.family, job.limits)
        found = self.preferences(ledger, encoder)
        taught, measured = (
            pairs.encode_pairs(self, encoder, job.templates, part) for part in (found.train, found.heldout)
        )

        def measure(when: str) -> dict[str, float | None]:
            return {
                f"preference_accuracy_{when}": heldout.measure_preference_accuracy(job.model, job, encoder, measured),
                f"heldout_quality_{when}": heldout.measure_greedy_quality(self, job, encoder),
            }

        def tune() -> dict[str, Any]:
            curve = self._tune(ledger.part("preference_tuning", ledger.left), encoder, taught)
            observer.details({"preference_tuning": {"loss": self.name, "curve": thin_out(curve)}})
            return {}

        def compare() -> dict[str, Any]:
            observer.metrics({**before, **measure("final")})
            return {}

        before = ledger.stage("held_out_start", lambda: measure("start"))
        ledger.stage("preference_tuning", tune)
        ledger.stage("held_out_final", compare)

    def _tune(
        self, job: TrainingJob, encoder: Encoder, encoded: Sequence[tuple[Encoded, Encoded]]
    ) -> list[dict[str, Any]]:
        """Train the job's model on these pairs until its budget is spent; loss, accuracy and margin of each step."""
        from methods.rlhf import trainer

        recipe = self.recipe()
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
        """What the trainer is given so that its reference is the model as it is now.

        Beside an adapter, the trainer itself puts a frozen copy of it and leaves it there; all weights are copied here.
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
    """Mixed into TRL's trainers: takes rows and batches as we make them, and switches all dropout off.

    TRL writes prompts and responses into tokens by itself, without the limits and end tokens of the other methods, and
    its own switch for dropout misses what attention layers drop. With dropout a policy would differ from its reference
    before it has learned anything.
    """

    model: Any
    train_dataset: Any
    args: Any

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        """The trainer's loss with everything below the model itself in evaluation mode, by which TRL knows training."""
        for child in self.model.children():
            child.eval()
        return super().compute_loss(*arguments, **named)  # type: ignore[misc]

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # of DPO and KTO

    @staticmethod  # datasets takes a digest of the function that it maps, of a bound one with trainer and model
    def tokenize_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nothing is left to do, in ORPO and CPO."""
        return row

    def concatenated_inputs(self, batch: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        """Chosen and rejected stand in one batch already, in ORPO and CPO."""
        return batch

    def _get_train_sampler(self, *_: Any) -> Any:
        import torch

        # KTO would go through the rows in their order, for the sake of batches that it makes itself.
        return torch.utils.data.RandomSampler(
            self.train_dataset, generator=torch.Generator().manual_seed(self.args.seed)
        )


def collate_with_completion_mask(encoder: Encoder, rows: Sequence[Encoded]) -> dict[str, Any]:
    """Prompts with responses, as DPO and KTO read them: a mask tells which tokens are of the response."""
    batch = encoder.training_batch(rows)
    batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()
    return batch


def collate_concatenated(encoder: Encoder, chosen: list[Encoded], rejected: list[Encoded]) -> dict[str, Any]:
    """Chosen and rejected responses in one batch with labels, as ORPO and CPO read them, for both families."""
    made = encoder.training_batch([*chosen, *rejected])
    batch = {f"concatenated_{name}": tensor for name, tensor in made.items()}
    if encoder.family == "encoder-decoder":  # read by nothing but the count of tokens
        batch["concatenated_decoder_attention_mask"] = (made["labels"] != IGNORED).long()
    return {**batch, "chosen_labels": made["labels"][: len(chosen)]}


def import_experimental(name: str) -> Any:
    """A module of `trl.experimental`, whose warning that it may change is met by constraints.txt and tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"trl.experimental.{name}")

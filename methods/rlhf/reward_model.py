"""The reward model: a scalar head on the warm-started model, trained on pairs with the Bradley–Terry loss.

TRL's `RewardTrainer` trains it, for both model families. The module that it gets reads prompt and response as the model
family does: in one row, or in encoder and decoder.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from methods.engine.encoding import IGNORED, Encoded, Encoder
from methods.engine.loss import accepts_logits_to_keep
from methods.feedback import Preference
from methods.rlhf import trainer
from methods.rlhf.roles import REWARD, Roles
from methods.types import StepEvent, TrainingConfig, TrainingJob

EVALUATIONS = 5
"""How many times held-out accuracy is measured during training."""
PATIENCE = 3
"""Training stops early if accuracy has not risen in this many measurements. The best weights are kept."""
BINS = 10
"""Bins of the expected calibration error (Guo et al. 2017 use 15 for larger sets)."""


class RewardModel(nn.Module):
    """Gives one number for each (prompt, response). `body` is the model in the role of the reward model."""

    def __init__(self, body: Any, family: str, start_token: int | None) -> None:
        super().__init__()
        self.config = copy.deepcopy(body.config)
        self.config.num_labels = 1  # required by RewardTrainer
        self.family = family
        self.start_token = start_token
        self.body = body
        width = getattr(self.config, "hidden_size", None) or self.config.d_model
        self.head = nn.Linear(width, 1, device=body.device)
        nn.init.normal_(self.head.weight, std=1 / (width + 1) ** 0.5)  # Stiennon et al. 2020, section B.1
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **inputs: Any) -> Any:
        """`logits` (B, 1): the head's value at the last token of each response."""
        inputs = {**inputs, "use_cache": False}
        if self.family == "encoder-decoder":
            last = inputs["decoder_attention_mask"].sum(dim=1) - 1
            output = self.body(input_ids, attention_mask=attention_mask, output_hidden_states=True, **inputs)
            states = output.decoder_hidden_states[-1]
        else:
            last = attention_mask.sum(dim=1) - 1
            inputs |= {"logits_to_keep": 1} if accepts_logits_to_keep(self.body) else {}
            output = self.body(input_ids, attention_mask=attention_mask, output_hidden_states=True, **inputs)
            states = output.hidden_states[-1]
        chosen = states[torch.arange(len(last), device=states.device), last]
        # In 16 bits, rewards near 3 have a spacing of 0.016: pairs would tie and advantages would be rounded.
        with torch.autocast(states.device.type, enabled=False):
            return SimpleNamespace(logits=self.head(chosen.float()))

    def batch(self, encoder: Encoder, rows: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Make the arguments of `forward` for these prompts and responses."""
        made = encoder.training_batch(rows)
        labels = made.pop("labels")
        if self.family == "encoder-decoder":
            pad = encoder.tokenizer.pad_token_id
            assert self.start_token is not None
            start = torch.full_like(labels[:, :1], self.start_token)
            made["decoder_input_ids"] = torch.cat([start, labels.masked_fill(labels == IGNORED, pad)], dim=1)
            made["decoder_attention_mask"] = torch.cat([torch.ones_like(start), (labels != IGNORED).long()], dim=1)
        return {name: tensor.to(self.head.weight.device) for name, tensor in made.items()}

    def add_model_tags(self, tags: Any) -> None:
        """Do nothing: RewardTrainer tags models for the hub, and this one is not uploaded."""


@dataclass(frozen=True)
class PairScores:
    """How well a reward model ranks pairs."""

    accuracy: float
    """Share of pairs whose chosen response has the higher reward; ties count half."""
    margin: float
    """Mean of chosen minus rejected."""
    calibration_error: float
    """Expected calibration error of sigmoid(|margin|) as the probability of being right."""
    bins: tuple[Mapping[str, float], ...]
    by_origin: Mapping[str, float]


class TrainedRewardModel:
    """A reward model with all that is needed to score responses with it."""

    def __init__(self, model: RewardModel, roles: Roles, encoder: Encoder, job: TrainingJob) -> None:
        self.model = model
        self.roles = roles
        self.encoder = encoder
        self.job = job

    def score(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """Compute (B,) rewards, in batches of the job's size, longest rows first."""
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i].prompt) - len(rows[i].response))
        found = torch.empty(len(rows))
        self.model.eval()
        mixed = self.job.dtype != torch.float32
        with self.roles.playing(REWARD), torch.no_grad():
            for start in range(0, len(rows), size := 2 * self.job.batch_size):
                chosen = order[start : start + size]
                batch = self.model.batch(self.encoder, [rows[i] for i in chosen])
                with torch.autocast(self.job.facts.device, dtype=self.job.dtype, enabled=mixed):
                    values = self.model(**batch).logits[:, 0]
                found[torch.tensor(chosen)] = values.float().cpu()
        return found

    def keep(self, folder: Path | None) -> None:
        """Save the trained weights in a folder, if one is given."""
        if folder is not None:
            # Tied weights are cloned, since safetensors cannot store shared tensors.
            own = {name: tensor.clone().contiguous() for name, tensor in self._own(self.model.state_dict()).items()}
            save_file(own, folder / "model.safetensors")

    def weights(self) -> dict[str, torch.Tensor]:
        """The trained weights."""
        return self._own(dict(self.model.named_parameters()))

    def _own(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Without the base's weights, if the body shares the base."""
        shared = self.roles.adapters
        return {n: t for n, t in tensors.items() if not shared or n.startswith("head.") or f".{REWARD}." in n}

    def evaluate(self, encoded: Sequence[tuple[Encoded, Encoded]], pairs: Sequence[Preference]) -> PairScores:
        """Measure accuracy, margin and calibration on pairs."""
        values = self.score([row for pair in encoded for row in pair]).view(-1, 2)
        return score_pairs(values[:, 0] - values[:, 1], [pair.origin for pair in pairs])


def score_pairs(margins: torch.Tensor, origins: Sequence[str]) -> PairScores:
    """Compute accuracy and calibration from margins (N,), chosen minus rejected."""
    right = (margins > 0).float() + 0.5 * (margins == 0).float()
    confidence = torch.sigmoid(margins.abs())
    bins, error = [], 0.0
    for number in range(BINS):
        low = 0.5 + 0.5 * number / BINS
        inside = (confidence >= low) & ((confidence < low + 0.5 / BINS) | (number == BINS - 1))
        if count := int(inside.sum()):
            mean, hit = confidence[inside].mean().item(), right[inside].mean().item()
            bins.append({"confidence": mean, "accuracy": hit, "count": count})
            error += count / len(margins) * abs(mean - hit)
    by_origin = {
        origin: right[torch.tensor([name == origin for name in origins])].mean().item()
        for origin in sorted(set(origins))
    }
    return PairScores(right.mean().item(), margins.mean().item(), error, tuple(bins), by_origin)


def make_untrained(job: TrainingJob, roles: Roles, encoder: Encoder) -> TrainedRewardModel:
    """Make a reward model from the policy as it is now, with a random head."""
    roles.keep(REWARD)
    with roles.playing(REWARD) as body:
        model = RewardModel(body, job.facts.family, getattr(body.config, "decoder_start_token_id", None))
    return TrainedRewardModel(model, roles, encoder, job)


def train_reward_model(
    job: TrainingJob,
    roles: Roles,
    encoder: Encoder,
    config: TrainingConfig,
    encoded: Sequence[tuple[Encoded, Encoded]],
    heldout: Sequence[tuple[Encoded, Encoded]],
    pairs: Sequence[Preference],
) -> tuple[TrainedRewardModel, PairScores, list[dict[str, float | None]]]:
    """Train a reward model; return it with its scores and the curve of loss and accuracy.

    Training stops when the budget is used or accuracy on half of the held-out `pairs` no longer rises; the best weights
    are kept. The scores are of the other half, which had no influence on that choice.
    """
    import trl

    choosing, testing = split_in_halves(pairs)

    judge = make_untrained(job, roles, encoder)
    model = judge.model
    with roles.playing(REWARD, train=True):
        watch = _EarlyStopping(judge, [heldout[i] for i in choosing], [pairs[i] for i in choosing])
        rows = [{"prompt_ids": c.prompt, "chosen_ids": c.response, "rejected_ids": r.response} for c, r in encoded]

        def collate(items: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
            both = [
                Encoded(item["prompt_ids"], item[side], False)
                for side in ("chosen_ids", "rejected_ids")
                for item in items
            ]
            return model.batch(encoder, both)

        trainer.run_trainer(
            trl.RewardTrainer,
            trl.RewardConfig,
            job,
            config,
            model,
            rows,
            settings={"max_length": None},
            collate=collate,
            after_step=watch.after_step,
        )
        watch.restore()
    scores = judge.evaluate([heldout[i] for i in testing], [pairs[i] for i in testing])
    return judge, scores, watch.curve


def split_in_halves(pairs: Sequence[Preference]) -> tuple[list[int], list[int]]:
    """Split pairs into indices of two halves that share no prompt. With a single prompt both halves are all pairs."""
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(pair.prompt for pair in pairs))}
    if len(prompts) < 2:
        return list(range(len(pairs))), list(range(len(pairs)))
    sides = [prompts[pair.prompt] % 2 for pair in pairs]
    return [i for i, side in enumerate(sides) if side], [i for i, side in enumerate(sides) if not side]


class _EarlyStopping:
    """Measures held-out accuracy while a reward model trains, and keeps its best weights."""

    def __init__(
        self, judge: TrainedRewardModel, heldout: Sequence[tuple[Encoded, Encoded]], pairs: Sequence[Preference]
    ) -> None:
        self.judge = judge
        self.heldout = heldout
        self.pairs = pairs
        self.curve: list[dict[str, float | None]] = []
        self.best = -1.0
        self._weights: dict[str, torch.Tensor] = {}
        self._since = 0
        self._measured = 0

    def after_step(self, event: StepEvent, logs: Mapping[str, float]) -> bool:
        due = int(event.progress * EVALUATIONS) > self._measured or event.progress >= 1
        accuracy = None
        if due:
            self._measured = int(event.progress * EVALUATIONS)
            accuracy = self.judge.evaluate(self.heldout, self.pairs).accuracy
            self.judge.model.train()
            self._since += 1
            if accuracy > self.best:
                self.best, self._since = accuracy, 0
                self._weights = {n: p.detach().clone() for n, p in self._trainable()}
        self.curve.append({"step": event.step, "loss": event.loss, "accuracy": accuracy})
        return self._since >= PATIENCE

    def restore(self) -> None:
        for name, parameter in self._trainable():
            parameter.data.copy_(self._weights[name])

    def _trainable(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.judge.model.named_parameters() if p.requires_grad]

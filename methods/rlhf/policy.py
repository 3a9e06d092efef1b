"""Policy optimisation: one loop for both model families, and three ways to turn rewards into advantages.

`rloo` (Ahmadian et al. 2024) compares a response with the others to its prompt, `grpo` (Shao et al. 2024) also divides
by their standard deviation and penalises KL in the loss, `ppo` (Schulman et al. 2017; Stiennon et al. 2020) learns the
value of every token. All clip the ratio of new to old probability, and hold the policy near the warm start with a KL
penalty.
TRL no longer has a PPO trainer, and no policy trainer for encoder–decoder models. So this is a loop of our own, which
tests/methods/rlhf/test_against_trl.py compares with TRL's.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from methods.base import Method
from methods.engine.encoding import Encoder
from methods.engine.loss import compute_loss
from methods.engine.training import Progress, draw_batches, scale_learning_rate
from methods.engine.training_state import (
    load_optimiser_state,
    load_weights,
    pack_states,
    read_optimiser_state,
    unpack_states,
)
from methods.errors import DivergedError
from methods.rlhf.advantages import (
    KLController,
    estimate_generalised_advantages,
    estimate_kl,
    normalise_by_group,
    put_at_last_token,
    subtract_leave_one_out_mean,
    whiten,
)
from methods.rlhf.critic import ValueHead
from methods.rlhf.roles import REFERENCE, Roles
from methods.rlhf.rollouts import ResponseScores, Rollouts, sample_responses, score_responses, split_rows
from methods.types import Example, State, StepEvent, TrainingJob

Reward = Callable[[Sequence[Example], Rollouts], torch.Tensor]
"""(example of each response, responses) → (B,) rewards; higher is better."""

MOST_POINTS = 200
"""Maximum number of points of a curve in the record."""


@dataclass
class Throughput:
    """Tokens and seconds spent on sampling and on learning."""

    sampled_tokens: int = 0
    sampling_seconds: float = 0.0
    learned_tokens: int = 0
    learning_seconds: float = 0.0

    def metrics(self) -> dict[str, float | None]:
        """Tokens per second of both, `None` if nothing was done."""
        return {
            "sampled_tokens_per_second": _compute_rate(self.sampled_tokens, self.sampling_seconds),
            "learned_tokens_per_second": _compute_rate(self.learned_tokens, self.learning_seconds),
        }


@dataclass(frozen=True)
class SampledBatch:
    """Responses sampled in one round, with their rewards and log-probabilities before the policy learns from them."""

    prompts: Sequence[Example]
    rollouts: Rollouts
    rewards: torch.Tensor
    """(B,) rewards before any penalty."""
    old: ResponseScores
    """Scores under the policy that sampled them."""
    reference: torch.Tensor
    """(B, T) log-probabilities under the warm start."""

    @property
    def log_ratio(self) -> torch.Tensor:
        """(B, T) of policy to warm start; its sum over a response estimates the KL in nats."""
        return self.old.log_probs - self.reference


class PolicyOptimiser:
    """Optimises the policy of a job on rewards until the job's budget is used."""

    def __init__(self, method: Method, job: TrainingJob, roles: Roles, encoder: Encoder, reward: Reward) -> None:
        self.method = method
        self.config = method.config
        self.job = job
        self.roles = roles
        self.encoder = encoder
        self.reward = reward
        self.curve: list[dict[str, float]] = []
        self.speed = Throughput()
        self._controller = KLController(self.config.kl, self.config.kl_target or None)
        weights = [p for p in job.model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": weights, "peak": self.config.policy_learning_rate}]
        self._critic: ValueHead | None = None
        if self.config.algorithm == "ppo":
            width = getattr(job.model.config, "hidden_size", None) or job.model.config.d_model
            self._critic = ValueHead(width).to(job.model.device)
            groups.append({"params": list(self._critic.parameters()), "peak": self.config.value_learning_rate})
        self._optimiser = torch.optim.AdamW(groups, lr=self.config.policy_learning_rate, weight_decay=0.0)
        self._scaler = torch.amp.GradScaler(job.facts.device, enabled=job.dtype == torch.float16)

    def run(self) -> None:
        """Sample, score and learn in turn, and emit one step event for each optimiser step."""
        job, config = self.job, self.config
        # Dropout stays off: the ratio of new to old probability must be 1 before the first update.
        job.model.eval()
        done = self._begin()
        batches = draw_batches(job.examples, config.prompts, job.seed)
        for _, chosen in itertools.islice(batches, len(self.curve), None):
            if done.over:
                break
            batch = self._collect([job.examples[i] for i in chosen])
            advantages, returns = self._compute_advantages(batch)
            losses: list[float] = []
            while len(losses) < config.updates and not done.over:
                rate = scale_learning_rate(done.middle, config.warmup, config.schedule)
                loss, learned = self._learn(batch, advantages, returns, rate)
                if not math.isfinite(loss):
                    raise DivergedError(done.steps + 1, loss)
                fresh = 0 if losses else len(chosen)
                losses.append(loss)
                done.advance(examples=fresh, tokens=learned)
                progress, peak = min(1.0, done.progress), config.policy_learning_rate
                job.emit(StepEvent(done.steps, progress, loss, peak * rate, learned, batch.rollouts.tokens, fresh))
            self.curve.append(self._make_point(done.steps, batch, losses))
            self._controller.update(self.curve[-1]["kl"])
            job.checkpoint.step(lambda: self._state(done))

    def _begin(self) -> Progress:
        """Start at zero, or where an interrupted run stopped."""
        kept = self.job.checkpoint.kept()
        if kept is None:
            return Progress(self.job)
        parts = unpack_states(kept)
        values = parts["loop"].values
        load_optimiser_state(self._optimiser, parts["loop"].tensors)
        load_weights(self._critic_weights(), parts["critic"].tensors)
        self._scaler.load_state_dict(values["scaler"])
        self.curve, self.speed = list(values["curve"]), Throughput(**values["speed"])
        self._controller.coefficient = values["kl_weight"]
        self.job.checkpoint.resume()
        return Progress(self.job, **values["course"])

    def _state(self, done: Progress) -> State:
        values = {
            "course": done.values(),
            "scaler": self._scaler.state_dict(),
            "curve": self.curve,
            "speed": dataclasses.asdict(self.speed),
            "kl_weight": self._controller.coefficient,
        }
        loop = State(read_optimiser_state(self._optimiser), values)
        return pack_states({"loop": loop, "critic": State(self._critic_weights())})

    def _critic_weights(self) -> dict[str, torch.Tensor]:
        return {} if self._critic is None else dict(self._critic.named_parameters())

    def _collect(self, prompts: Sequence[Example]) -> SampledBatch:
        """Sample responses, and score them with reward, policy and reference."""
        job, config, began = self.job, self.config, self.job.clock()
        encoded = self.encoder.encode_all([self.method.write(example, job.templates, 0) for example in prompts])
        ways = {"samples": config.samples, "temperature": config.temperature}
        rollouts = sample_responses(job.model, self.encoder, encoded, self.method.generate, **ways)
        self.speed.sampled_tokens += rollouts.tokens
        self.speed.sampling_seconds += job.clock() - began
        examples = [example for example in prompts for _ in range(config.samples)]
        rewards = self.reward(examples, rollouts).to(job.model.device)
        with torch.no_grad():
            old = self._score(job.model, rollouts, hidden=self._critic is not None, entropy=True)
            with self.roles.playing(REFERENCE) as reference:
                theirs = self._score(reference, rollouts).log_probs
        return SampledBatch(prompts, rollouts, rewards, old, theirs)

    def _compute_advantages(self, batch: SampledBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute (B, T) advantages and, for the critic, (B, T) returns."""
        config, mask, weight = self.config, batch.rollouts.mask.float(), self._controller.coefficient
        # Rewards are whitened, so that penalties mean the same for rewards of any scale.
        scores = whiten(batch.rewards) - config.end_penalty * (~batch.rollouts.ended).float()
        if config.algorithm == "grpo":
            return normalise_by_group(scores, config.samples).unsqueeze(1) * mask, None
        if config.algorithm == "rloo":
            penalised = scores - weight * batch.log_ratio.sum(dim=1)
            return subtract_leave_one_out_mean(penalised, config.samples).unsqueeze(1) * mask, None
        assert self._critic is not None
        assert batch.old.hidden is not None
        with torch.no_grad():
            values = self._critic(batch.old.hidden)
        per_token = put_at_last_token(scores, batch.rollouts.mask) - weight * batch.log_ratio
        advantages, returns = estimate_generalised_advantages(per_token, values, mask, 1.0, config.smoothing)
        return whiten(advantages, mask), returns

    def _learn(
        self, batch: SampledBatch, advantages: torch.Tensor, returns: torch.Tensor | None, rate: float
    ) -> tuple[float, int]:
        """Do one optimiser step over all responses, in parts of the job's batch size; return (loss, real tokens)."""
        rollouts, total, began = batch.rollouts, 0.0, self.job.clock()
        learned = rollouts.tokens + int(rollouts.prompt_mask.sum())
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        for rows in split_rows(len(rollouts), self.job.batch_size):
            loss = self._compute_loss(batch, rows, advantages, returns) / rollouts.tokens
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if self.config.supervised_weight:
            loss, count = self._compute_supervised_loss(batch.prompts)
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total, learned = total + float(loss.detach()), learned + count
        self._scaler.unscale_(self._optimiser)
        for group in self._optimiser.param_groups:  # policy and critic are clipped separately
            torch.nn.utils.clip_grad_norm_(group["params"], self.config.max_grad_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)
        self.speed.learned_tokens += learned
        self.speed.learning_seconds += self.job.clock() - began
        return total, learned

    def _compute_loss(
        self, batch: SampledBatch, rows: slice, advantages: torch.Tensor, returns: torch.Tensor | None
    ) -> torch.Tensor:
        """Sum over the tokens of these rows: clipped policy loss, KL penalty for `grpo`, half the squared error of the
        critic."""
        part = batch.rollouts.slice(rows.start, rows.stop)
        width, mask = part.responses.shape[1], part.mask.float()
        new = self._score(self.job.model, part, hidden=returns is not None)
        ratio = (new.log_probs - batch.old.log_probs[rows, :width]).exp()
        wanted = advantages[rows, :width]
        clipped = ratio.clamp(1 - self.config.clip, 1 + self.config.clip)
        loss = -(torch.minimum(ratio * wanted, clipped * wanted) * mask).sum()
        if self.config.algorithm == "grpo":
            kl = estimate_kl(new.log_probs, batch.reference[rows, :width])
            loss = loss + self._controller.coefficient * (kl * mask).sum()
        if returns is not None:
            assert self._critic is not None
            assert new.hidden is not None
            error = (self._critic(new.hidden) - returns[rows, :width]) * mask
            loss = loss + 0.5 * error.square().sum()
        return loss

    def _compute_supervised_loss(self, prompts: Sequence[Example]) -> tuple[torch.Tensor, int]:
        """Compute (weighted cross-entropy of the prompts' references, real tokens)."""
        job = self.job
        encoded = self.encoder.encode_all([self.method.write(example, job.templates, 0) for example in prompts])
        batch = {name: t.to(job.model.device) for name, t in self.encoder.training_batch(encoded).items()}
        with torch.autocast(job.facts.device, dtype=job.dtype, enabled=job.dtype != torch.float32):
            loss = compute_loss(job.model, batch)
        return self.config.supervised_weight * loss, sum(len(row.prompt) + len(row.response) for row in encoded)

    def _score(self, model: Any, rollouts: Rollouts, **asked: bool) -> ResponseScores:
        return score_responses(model, rollouts, self.job, temperature=self.config.temperature, **asked)

    def _make_point(self, step: int, batch: SampledBatch, losses: Sequence[float]) -> dict[str, float]:
        """Make the curve's point of a batch, as it was before these updates."""
        rollouts = batch.rollouts
        assert batch.old.entropy is not None
        return {
            "step": step,
            "reward": float(batch.rewards.mean()),
            "kl": float(batch.log_ratio.sum(dim=1).mean()),
            "entropy": float(batch.old.entropy.sum()) / rollouts.tokens,
            "tokens": rollouts.tokens / len(rollouts),
            "unended_percent": 100 * float((~rollouts.ended).float().mean()),
            "kl_weight": self._controller.coefficient,
            "loss": sum(losses) / len(losses),
        }


def thin_out(curve: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Reduce a curve to at most `MOST_POINTS` evenly spread points, with the first and the last."""
    if len(curve) <= MOST_POINTS:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def _compute_rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if seconds > 0 else None

"""Policy optimisation: one loop for both model families, and three ways to turn rewards into advantages.

`rloo` (Ahmadian et al. 2024) compares a response with the others to its prompt, `grpo` (Shao et al. 2024) also divides
by their spread and penalises KL in the loss, `ppo` (Schulman et al. 2017; Stiennon et al. 2020) learns the value of
every token. All clip the ratio of new to old probability, and hold the policy near the warm start with a KL penalty.
TRL has no PPO trainer any more and no policy trainer for encoder–decoder models; hence a loop of our own, which
tests/methods/rlhf/test_against_trl.py holds against TRL's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from methods.base import Example, Method, StepEvent, TrainingJob
from methods.encoding import Encoder
from methods.errors import DivergedError
from methods.rlhf.advantages import (
    KLController,
    at_the_end,
    generalised,
    group_normalised,
    kl_low_variance,
    leave_one_out,
    whiten,
)
from methods.rlhf.roles import REFERENCE, Roles
from methods.rlhf.rollouts import Rollouts, Scored, log_probs, sample
from methods.training import schedule, training_batches

Reward = Callable[[Sequence[Example], Rollouts], torch.Tensor]
"""(example of each response, responses) → (B,) rewards; higher is better."""

POINTS = 200
"""Most points of a curve that the record keeps."""


@dataclass
class Speed:
    """Tokens and seconds of sampling and of learning."""

    sampled_tokens: int = 0
    sampling_seconds: float = 0.0
    learned_tokens: int = 0
    learning_seconds: float = 0.0

    def metrics(self) -> dict[str, float | None]:
        """Tokens per second of either, `None` where nothing was done."""
        return {
            "sampled_tokens_per_second": _rate(self.sampled_tokens, self.sampling_seconds),
            "learned_tokens_per_second": _rate(self.learned_tokens, self.learning_seconds),
        }


class ValueHead(nn.Module):
    """A critic on the policy's last hidden states. They are detached: what the critic learns moves no policy weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)  # values begin at 0, so that the first advantages are the rewards'
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.Tanh(), last)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → (B, T) values."""
        values: torch.Tensor = self.layers(states.detach().float()).squeeze(-1)
        return values


class Optimiser:
    """Improves the policy of a job on rewards until the job's budget is spent."""

    def __init__(self, method: Method, job: TrainingJob, roles: Roles, encoder: Encoder, reward: Reward) -> None:
        self.method = method
        self.config = method.config
        self.job = job
        self.roles = roles
        self.encoder = encoder
        self.reward = reward
        self.curve: list[dict[str, float]] = []
        self.speed = Speed()
        self._controller = KLController(self.config.kl, self.config.kl_target or None)
        self._weights = [p for p in job.model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": self._weights, "peak": self.config.policy_learning_rate}]
        self._critic: ValueHead | None = None
        if self.config.algorithm == "ppo":
            width = getattr(job.model.config, "hidden_size", None) or job.model.config.d_model
            self._critic = ValueHead(width).to(job.model.device)
            groups.append({"params": list(self._critic.parameters()), "peak": self.config.value_learning_rate})
        self._optimiser = torch.optim.AdamW(groups, lr=self.config.policy_learning_rate, weight_decay=0.0)

    def run(self) -> None:
        """Sample, score, learn; emits one step event for each optimiser step."""
        job, config = self.job, self.config
        started, steps, seen, tokens, progress = job.clock(), 0, 0, 0, 0.0
        # Dropout stays off: the ratio of new to old probability must be 1 before the first update.
        job.model.eval()
        for _, chosen in training_batches(job.examples, config.prompts, job.seed):
            examples = [job.examples[i] for i in chosen for _ in range(config.samples)]
            rollouts, rewards, old, reference = self._collect([job.examples[i] for i in chosen], examples)
            kl = float((old.log_probs - reference).sum(dim=1).mean())
            advantages, returns = self._advantages(rollouts, rewards, old, reference)
            losses = []
            for _update in range(config.updates):
                share = 1 / job.budget.amount if job.budget.unit == "steps" else 0.0
                rate = schedule(progress + share / 2, config.warmup, config.schedule)
                loss, learned = self._learn(rollouts, old, reference, advantages, returns, rate)
                if not math.isfinite(loss):
                    raise DivergedError(steps + 1, loss)
                losses.append(loss)
                steps, tokens = steps + 1, tokens + learned
                seen += len(chosen) if _update == 0 else 0
                progress = job.budget.progress(
                    steps=steps, epochs=seen / len(job.examples), tokens=tokens, seconds=job.clock() - started
                )
                peak = config.policy_learning_rate
                count = len(chosen) if _update == 0 else 0
                job.emit(StepEvent(steps, min(1.0, progress), loss, peak * rate, learned, rollouts.tokens, count))
                if progress >= 1 - 1e-9:
                    break
            self.curve.append(self._point(steps, rollouts, rewards, old, kl, losses))
            self._controller.update(kl)
            if progress >= 1 - 1e-9:
                break
        del self._optimiser

    def _collect(
        self, prompts: Sequence[Example], examples: Sequence[Example]
    ) -> tuple[Rollouts, torch.Tensor, Scored, torch.Tensor]:
        """Responses, their rewards, and what policy and reference say of them."""
        job, config = self.job, self.config
        encoded = self.encoder.encode_all([self.method.write(example, job.templates, 0) for example in prompts])
        began = job.clock()
        rollouts = sample(job.model, self.encoder, encoded, samples=config.samples, temperature=config.temperature)
        self.speed.sampled_tokens += rollouts.tokens
        self.speed.sampling_seconds += job.clock() - began
        rewards = self.reward(examples, rollouts).to(job.model.device)
        with torch.no_grad():
            old = self._scored(job.model, rollouts, hidden=self._critic is not None)
            with self.roles.playing(REFERENCE) as reference:
                theirs = self._scored(reference, rollouts).log_probs
        return rollouts, rewards, old, theirs

    def _advantages(
        self, rollouts: Rollouts, rewards: torch.Tensor, old: Scored, reference: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, T) advantages and, for the critic, (B, T) returns."""
        config, mask = self.config, rollouts.mask.float()
        # Penalties are in standard deviations of the batch's rewards, whatever unit those have.
        scores = whiten(rewards) - config.end_penalty * (~rollouts.ended).float()
        kl = old.log_probs - reference
        if config.algorithm == "grpo":
            return group_normalised(scores, config.samples).unsqueeze(1) * mask, None
        if config.algorithm == "rloo":
            penalised = scores - self._controller.coefficient * kl.sum(dim=1)
            return leave_one_out(penalised, config.samples).unsqueeze(1) * mask, None
        assert self._critic is not None
        assert old.hidden is not None
        per_token = at_the_end(scores, rollouts.mask) - self._controller.coefficient * kl
        with torch.no_grad():
            values = self._critic(old.hidden)
        advantages, returns = generalised(per_token, values, mask, 1.0, config.smoothing)
        return whiten(advantages, mask), returns

    def _learn(
        self,
        rollouts: Rollouts,
        old: Scored,
        reference: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor | None,
        rate: float,
    ) -> tuple[float, int]:
        """One optimiser step over all responses, in forward passes of the job's batch size; (loss, real tokens)."""
        config, total, began = self.config, 0.0, self.job.clock()
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        for rows in self._slices(len(rollouts)):
            part = rollouts.slice(rows.start, rows.stop)
            width = part.responses.shape[1]
            new = self._scored(self.job.model, part, hidden=returns is not None)
            mask = part.mask.float()
            ratio = (new.log_probs - old.log_probs[rows, :width]).exp()
            wanted = advantages[rows, :width]
            clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
            loss = -(torch.minimum(ratio * wanted, clipped * wanted) * mask).sum()
            if config.algorithm == "grpo":
                kl = kl_low_variance(new.log_probs, reference[rows, :width])
                loss = loss + self._controller.coefficient * (kl * mask).sum()
            if returns is not None:
                assert self._critic is not None
                assert new.hidden is not None
                error = (self._critic(new.hidden) - returns[rows, :width]) * mask
                loss = loss + 0.5 * error.square().sum()
            loss = loss / rollouts.tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._weights, config.max_grad_norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        learned = rollouts.tokens + int(rollouts.prompt_mask.sum())
        self.speed.learned_tokens += learned
        self.speed.learning_seconds += self.job.clock() - began
        return total, learned

    def _scored(self, model: Any, rollouts: Rollouts, *, hidden: bool = False) -> Scored:
        return scored(model, rollouts, self.job, temperature=self.config.temperature, hidden=hidden)

    def _slices(self, count: int) -> Iterator[slice]:
        return _slices(count, self.job.batch_size)

    def _point(
        self, step: int, rollouts: Rollouts, rewards: torch.Tensor, old: Scored, kl: float, losses: Sequence[float]
    ) -> dict[str, float]:
        """What the batch before these updates was like."""
        return {
            "step": step,
            "reward": float(rewards.mean()),
            "kl": kl,
            "entropy": float(old.entropy.sum()) / rollouts.tokens,
            "tokens": rollouts.tokens / len(rollouts),
            "unended_percent": 100 * float((~rollouts.ended).float().mean()),
            "kl_weight": self._controller.coefficient,
            "loss": sum(losses) / len(losses),
        }


def scored(model: Any, rollouts: Rollouts, job: TrainingJob, *, temperature: float, hidden: bool = False) -> Scored:
    """`log_probs` of any number of responses: where no gradient is kept, in forward passes of the job's batch size."""
    if torch.is_grad_enabled():
        return log_probs(model, rollouts, job.facts.family, temperature=temperature, dtype=job.dtype, hidden=hidden)
    shape = rollouts.responses.shape
    chosen, entropy = torch.zeros(shape, device=model.device), torch.zeros(shape, device=model.device)
    states = None
    for rows in _slices(len(rollouts), job.batch_size):
        part = rollouts.slice(rows.start, rows.stop)
        found = log_probs(model, part, job.facts.family, temperature=temperature, dtype=job.dtype, hidden=hidden)
        width = part.responses.shape[1]
        chosen[rows, :width], entropy[rows, :width] = found.log_probs, found.entropy
        if found.hidden is not None:
            if states is None:
                states = torch.zeros(*shape, found.hidden.shape[-1], device=model.device)
            states[rows, :width] = found.hidden.float()
    return Scored(chosen, entropy, states)


def thinned(curve: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """At most `POINTS` points, evenly spread, the first and the last among them."""
    if len(curve) <= POINTS:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (POINTS - 1))] for i in range(POINTS)]


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if seconds > 0 else None

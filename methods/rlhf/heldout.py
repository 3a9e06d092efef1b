"""Evaluates a policy on held-out prompts: the warm start and the final policy in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from methods.base import Method
from methods.engine.encoding import Encoded, Encoder
from methods.rlhf.policy import Reward
from methods.rlhf.roles import REFERENCE, Roles
from methods.rlhf.rollouts import Rollouts, sample_responses, score_responses
from methods.types import Example, TrainingJob

MOST_PROMPTS = 48
"""Maximum number of held-out prompts, taken from the start of the validation split."""
SAMPLES = 2
"""Responses sampled for each prompt, so that two responses to one prompt can be compared."""
TIE = 0.01
"""Two responses whose quality differs by less than this count as equally good."""


@dataclass(frozen=True)
class PolicyEvaluation:
    """What was measured on a policy's responses to held-out prompts."""

    rewards: torch.Tensor
    """(N,) one for each sampled response."""
    kl: float
    """KL divergence from the warm start, in nats per response."""
    entropy: float
    """Nats per token."""
    tokens: float
    """Mean length of a response, end token included."""
    unended_percent: float
    agreement: float | None
    """Share of pairs of responses to one prompt that reward and quality rank the same way."""
    reference_wins: float
    """Share of sampled responses with a lower reward than the reference; ties count half."""
    quality: float | None
    """Mean quality of greedy answers."""
    rows: list[dict[str, Any]]
    """Samples for people to inspect."""

    def values(self) -> dict[str, Any]:
        """All fields as JSON types."""
        return {**vars(self), "rewards": self.rewards.tolist()}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> PolicyEvaluation:
        """Rebuild the evaluation from what `values` returned."""
        return cls(**{**values, "rewards": torch.tensor(values["rewards"])})


class PolicyEvaluator:
    """Evaluates policies on the held-out prompts of one job, with the same random numbers each time."""

    def __init__(self, method: Method, job: TrainingJob, roles: Roles, encoder: Encoder, reward: Reward) -> None:
        self.job = job
        self.method = method
        self.temperature = method.config.temperature
        """The same as in training, since that is the distribution that is optimised."""
        self.roles = roles
        self.encoder = encoder
        self.reward = reward
        self.examples = list(job.validation)[:MOST_PROMPTS]
        self._encoded = encoder.encode_all([method.write(example, job.templates, 0) for example in self.examples])

    def __call__(self) -> PolicyEvaluation:
        """Evaluate the policy as it is now."""
        rewards, rows, parts = [], [], []
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(self.job.seed)
            for examples, rollouts in self._sample():
                values = self.reward(examples, rollouts)
                mine = score_responses(self.job.model, rollouts, self.job, temperature=self.temperature, entropy=True)
                assert mine.entropy is not None
                with self.roles.playing(REFERENCE) as model:
                    theirs = score_responses(model, rollouts, self.job, temperature=self.temperature)
                parts.append((rollouts, (mine.log_probs - theirs.log_probs).sum(dim=1), mine.entropy.sum()))
                rewards.append(values.cpu())
                rows += [
                    {"id": example.id, "prompt": example.input, "response": text, "reward": float(value)}
                    for example, text, value in zip(examples, rollouts.texts, values, strict=True)
                ]
        every_example = [example for example in self.examples for _ in range(SAMPLES)]
        quality = _score_quality(self.job, every_example, [row["response"] for row in rows])
        tokens = sum(rollouts.tokens for rollouts, _, _ in parts)
        every, references = torch.cat(rewards), self._score_references().repeat_interleave(SAMPLES)
        return PolicyEvaluation(
            rewards=every,
            kl=float(torch.cat([kl for _, kl, _ in parts]).mean()),
            entropy=float(sum(entropy for _, _, entropy in parts)) / tokens,
            tokens=tokens / len(every),
            unended_percent=100 * float(torch.cat([~rollouts.ended for rollouts, _, _ in parts]).float().mean()),
            reference_wins=float(((references > every).float() + 0.5 * (references == every).float()).mean()),
            agreement=None if quality is None else measure_agreement(every, quality),
            quality=measure_greedy_quality(self.method, self.job, self.encoder),
            rows=rows,
        )

    def _score_references(self) -> torch.Tensor:
        """Compute (prompts,) the reward of each prompt's reference."""
        texts = [example.target for example in self.examples]
        device = self.job.model.device
        return self.reward(self.examples, Rollouts.of(self.encoder, self._encoded, device, texts)).cpu()

    def _sample(self) -> Any:
        """Yield (example of each response, responses), batch by batch."""
        size = max(1, 2 * self.job.batch_size // SAMPLES)
        for start in range(0, len(self.examples), size):
            examples = [example for example in self.examples[start : start + size] for _ in range(SAMPLES)]
            encoded = self._encoded[start : start + size]
            ways = {"samples": SAMPLES, "temperature": self.temperature}
            yield examples, sample_responses(self.job.model, self.encoder, encoded, self.method.generate, **ways)


def measure_greedy_quality(method: Method, job: TrainingJob, encoder: Encoder) -> float | None:
    """Measure the mean quality of greedy answers to the held-out prompts; `None` if the task has no quality metric."""
    examples = list(job.validation)[:MOST_PROMPTS]
    encoded = encoder.encode_all([method.write(example, job.templates, 0) for example in examples])
    texts: list[str] = []
    for start in range(0, len(encoded), size := 2 * job.batch_size):
        part = encoded[start : start + size]
        texts += sample_responses(job.model, encoder, part, method.generate, samples=1, temperature=0).texts
    found = _score_quality(job, examples, texts)
    return None if found is None else float(found.mean())


def _score_quality(job: TrainingJob, examples: Sequence[Example], texts: Sequence[str]) -> torch.Tensor | None:
    """Compute (N,) the quality of one response to each of these examples."""
    scorer = job.feedback.quality
    if scorer is None:
        return None
    return torch.tensor(scorer([e.input for e in examples], list(texts), [e.references for e in examples]))


def compare_policies(before: PolicyEvaluation, after: PolicyEvaluation) -> dict[str, float | None]:
    """Make the record's metrics that compare the warm start with the final policy."""
    start, final = float(before.rewards.mean()), float(after.rewards.mean())
    spread = float(before.rewards.std())
    return {
        "reward_start": start,
        "reward_final": final,
        "reward_gain_sd": (final - start) / spread if spread > 0 else None,
        "policy_kl": after.kl,
        "policy_entropy": after.entropy,
        "policy_response_tokens": after.tokens,
        "policy_unended_percent": after.unended_percent,
        "reference_wins_start": before.reference_wins,
        "reference_wins_final": after.reference_wins,
        "reward_agreement_start": before.agreement,
        "reward_agreement_final": after.agreement,
        "heldout_quality_start": before.quality,
        "heldout_quality_final": after.quality,
    }


def list_side_by_side(before: PolicyEvaluation, after: PolicyEvaluation) -> list[dict[str, Any]]:
    """Make one row for each prompt and sample, with both policies' responses and their rewards."""
    return [
        {"id": b["id"], "prompt": b["prompt"], "warm_start": b["response"], "warm_start_reward": b["reward"],
         "policy": a["response"], "policy_reward": a["reward"]}
        for b, a in zip(before.rows, after.rows, strict=True)
    ]  # fmt: skip


def measure_agreement(rewards: torch.Tensor, qualities: torch.Tensor) -> float | None:
    """Share of pairs (2i, 2i + 1) that rewards and qualities rank the same way; `None` if no two qualities differ."""
    reward, quality = (values.view(-1, 2)[:, 0] - values.view(-1, 2)[:, 1] for values in (rewards, qualities))
    told = quality.abs() >= TIE
    if not told.any():
        return None
    alike = (reward * quality > 0).float() + 0.5 * (reward == 0).float()
    return float(alike[told].mean())


def measure_preference_accuracy(
    model: Any, job: TrainingJob, encoder: Encoder, encoded: Sequence[tuple[Encoded, Encoded]]
) -> float | None:
    """Share of pairs whose chosen response has the higher mean log-probability per token under the model."""
    if not encoded:
        return None
    means = []
    with torch.no_grad():
        for start in range(0, len(encoded), job.batch_size):
            rows = [row for pair in encoded[start : start + job.batch_size] for row in pair]
            rollouts = Rollouts.of(encoder, rows, model.device)
            found = score_responses(model, rollouts, job, temperature=1.0)
            means.append(found.log_probs.sum(dim=1) / rollouts.mask.sum(dim=1))
    pairs = torch.cat(means).view(-1, 2)
    return float(((pairs[:, 0] > pairs[:, 1]).float() + 0.5 * (pairs[:, 0] == pairs[:, 1]).float()).mean())

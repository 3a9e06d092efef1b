"""Turns rewards into advantages: whitening, leave-one-out, group normalisation, generalised advantages, KL estimates.

Pure functions of tensors. B is the number of responses, T their width; responses to one prompt are adjacent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

EPSILON = 1e-6
"""Added to a standard deviation before dividing by it, so that constant rewards become zeros, not infinities."""


def whiten(values: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Scale values to mean 0 and standard deviation 1 over the entries in the mask; constant values become 0."""
    import torch

    mask = torch.ones_like(values) if mask is None else mask
    count = mask.sum()
    mean = (values * mask).sum() / count
    deviation = (((values - mean) ** 2 * mask).sum() / count).sqrt()
    if deviation <= EPSILON * mean.abs():  # rounding errors of a constant must not be scaled up to 1
        return torch.zeros_like(values)
    return (values - mean) / (deviation + EPSILON) * mask


def subtract_leave_one_out_mean(rewards: torch.Tensor, samples: int) -> torch.Tensor:
    """Each reward (B,) minus the mean of the other `samples - 1` responses to its prompt (Ahmadian et al. 2024)."""
    groups = rewards.view(-1, samples)
    others = (groups.sum(dim=1, keepdim=True) - groups) / (samples - 1)
    return (groups - others).flatten()


def normalise_by_group(rewards: torch.Tensor, samples: int) -> torch.Tensor:
    """Each reward (B,) minus its group's mean, divided by its group's standard deviation (Shao et al. 2024)."""
    groups = rewards.view(-1, samples)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + EPSILON)).flatten()


def estimate_generalised_advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, discount: float, smoothing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(advantages, returns), each (B, T), from rewards per token and a critic's values (Schulman et al. 2016).

    The value after the last token of a response is 0.
    """
    import torch

    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        error = rewards[:, t] + discount * following - values[:, t]
        running = (error + discount * smoothing * running) * mask[:, t]
        advantages[:, t] = running
    return advantages, (advantages + values) * mask


def put_at_last_token(rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, T) with each reward (B,) at the last token of its response and 0 elsewhere."""
    import torch

    spread = torch.zeros_like(mask, dtype=rewards.dtype)
    return spread.scatter(1, (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0), rewards.unsqueeze(1))


def estimate_kl(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Estimate KL(policy ‖ reference) per token with the estimator that is never negative (k3, Schulman 2020):
    exp(−x) − 1 + x, where x is the log-ratio of policy to reference."""
    ratio = reference - log_probs
    return ratio.exp() - 1 - ratio


class KLController:
    """The weight of the KL penalty: fixed, or adapted towards a target (Ziegler et al. 2019, section 2.2)."""

    def __init__(self, coefficient: float, target: float | None, horizon: int = 100) -> None:
        self.coefficient = coefficient
        self.target = target
        self.horizon = horizon
        """Each update changes the coefficient by 10 / horizon of the relative error, which is limited to ±0.2."""

    def update(self, kl: float) -> None:
        """Adapt the coefficient to the measured KL per response, in nats."""
        if self.target is None:
            return
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.coefficient *= 1 + error * 10 / self.horizon

"""The critic of `ppo`, which predicts at each token the reward of the response."""

from __future__ import annotations

import torch
from torch import nn


class ValueHead(nn.Module):
    """A critic on the policy's last hidden states, which are detached: training the critic changes no policy weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)  # values start at 0, so that the first advantages are the rewards
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.Tanh(), last)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → (B, T) values."""
        values: torch.Tensor = self.layers(states.detach().float()).squeeze(-1)
        return values

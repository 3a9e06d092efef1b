"""`rloo`, `grpo` and `ppo`: `rlhf` with a fixed algorithm of policy optimisation, under its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from methods.rlhf.method import RLHF, RLHFConfig


@dataclass(frozen=True, kw_only=True)
class RLOOConfig(RLHFConfig):
    """RLHF's knobs with a fixed algorithm."""

    algorithm: Literal["rloo"] = "rloo"


class RLOO(RLHF):
    """REINFORCE with the other responses to the same prompt as the baseline."""

    name = "rloo"
    summary = "rlhf by REINFORCE, leave-one-out baseline (Ahmadian et al. 2024)"
    Config = RLOOConfig


@dataclass(frozen=True, kw_only=True)
class GRPOConfig(RLHFConfig):
    """RLHF's knobs with a fixed algorithm."""

    algorithm: Literal["grpo"] = "grpo"


class GRPO(RLHF):
    """Advantages relative to the mean and standard deviation of the responses to the same prompt."""

    name = "grpo"
    summary = "rlhf by group-relative policy optimisation (Shao et al. 2024)"
    Config = GRPOConfig


@dataclass(frozen=True, kw_only=True)
class PPOConfig(RLHFConfig):
    """RLHF's knobs with a fixed algorithm."""

    algorithm: Literal["ppo"] = "ppo"


class PPO(RLHF):
    """Clipped policy updates with a critic."""

    name = "ppo"
    summary = "rlhf by proximal policy optimisation, with a critic (Schulman et al. 2017; Ouyang et al. 2022)"
    Config = PPOConfig

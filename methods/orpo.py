"""`orpo`: odds ratio preference optimisation (Hong et al. 2024), through TRL."""

from __future__ import annotations

from dataclasses import dataclass

from methods.base import require
from methods.rlhf.relatives import PreferenceConfig, PreferenceTuning, Recipe, concatenated, experimental


@dataclass(frozen=True, kw_only=True)
class ORPOConfig(PreferenceConfig):
    """Knobs of ORPO."""

    odds_weight: float = 0.1
    """Weight of the odds ratio beside the supervised loss, λ in Hong et al. 2024, who use 0.1; TRL calls it beta."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.odds_weight > 0, "odds_weight", "must be above 0")


class ORPO(PreferenceTuning):
    """Supervised loss on the chosen response and the log odds ratio of both; no reference."""

    name = "orpo"
    summary = "warm start → preferences → supervised loss and odds ratio (Hong et al. 2024)"
    Config = ORPOConfig

    def recipe(self) -> Recipe:
        """TRL's `ORPOTrainer`. Of a decoder-only model, its supervised loss covers the prompt, too."""
        orpo = experimental("orpo")
        settings = {"beta": self.config.odds_weight, "max_completion_length": 1}  # 1: unused, but asked for
        return Recipe(orpo.ORPOTrainer, orpo.ORPOConfig, settings, concatenated)

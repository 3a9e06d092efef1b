"""`simpo`: simple preference optimisation (Meng et al. 2024), through TRL."""

from __future__ import annotations

from dataclasses import dataclass

from methods.knobs import knob
from methods.preference.base import (
    PreferenceConfig,
    PreferenceMethod,
    TrainerSetup,
    collate_concatenated,
    import_experimental,
)
from methods.types import require


@dataclass(frozen=True, kw_only=True)
class SimPOConfig(PreferenceConfig):
    """Knobs of SimPO; defaults are those of Meng et al. 2024 for Llama-3-8B, their base model."""

    beta: float = knob(2.0, "Scale of the difference of mean log-probabilities per token in the loss.")
    gamma: float = knob(
        1.0, "Margin by which the reward of the chosen response should exceed that of the rejected one."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "must be above 0")
        require(self.gamma >= 0, "gamma", "must not be negative")


class SimPO(PreferenceMethod):
    """Compares mean log-probabilities per token with a margin; no reference and no supervised loss."""

    name = "simpo"
    summary = "warm start → preferences → simple preference optimisation (Meng et al. 2024)"
    Config = SimPOConfig

    def set_up_trainer(self) -> TrainerSetup:
        """TRL's `CPOTrainer` with the SimPO loss and without a supervised loss."""
        cpo = import_experimental("cpo")
        settings = {"loss_type": "simpo", "beta": self.config.beta, "simpo_gamma": self.config.gamma, "cpo_alpha": 0.0}
        return TrainerSetup(
            cpo.CPOTrainer, cpo.CPOConfig, {**settings, "max_completion_length": 1}, collate_concatenated
        )

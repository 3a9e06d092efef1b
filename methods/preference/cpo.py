"""`cpo`: contrastive preference optimisation (Xu et al. 2024), through TRL."""

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
class CPOConfig(PreferenceConfig):
    """Knobs of CPO."""

    beta: float = knob(0.1, "Scale of the difference of log-probabilities in the loss; 0.1 in Xu et al. 2024.")
    supervised_weight: float = knob(
        1.0,
        "Weight of the supervised loss on the chosen response; 1 in Xu et al. 2024, TRL's `cpo_alpha`.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "must be above 0")
        require(self.supervised_weight >= 0, "supervised_weight", "must not be negative")


class CPO(PreferenceMethod):
    """DPO without a reference, with a supervised loss on the chosen response instead."""

    name = "cpo"
    summary = "warm start → preferences → contrastive preference optimisation (Xu et al. 2024)"
    Config = CPOConfig

    def set_up_trainer(self) -> TrainerSetup:
        """TRL's `CPOTrainer` with its sigmoid loss."""
        cpo = import_experimental("cpo")
        settings = {"beta": self.config.beta, "cpo_alpha": self.config.supervised_weight, "max_completion_length": 1}
        return TrainerSetup(cpo.CPOTrainer, cpo.CPOConfig, settings, collate_concatenated)

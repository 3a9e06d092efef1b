"""`orpo`: odds ratio preference optimisation (Hong et al. 2024), through TRL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import IGNORED
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
class ORPOConfig(PreferenceConfig):
    """Knobs of ORPO."""

    odds_weight: float = knob(
        0.1,
        "Weight of the odds ratio relative to the supervised loss: λ in Hong et al. 2024, who use 0.1; TRL's beta.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.odds_weight > 0, "odds_weight", "must be above 0")


class ORPO(PreferenceMethod):
    """Supervised loss on the chosen response plus the log odds ratio of both responses, without a reference."""

    name = "orpo"
    summary = "warm start → preferences → supervised loss and odds ratio (Hong et al. 2024)"
    Config = ORPOConfig

    def set_up_trainer(self) -> TrainerSetup:
        """TRL's `ORPOTrainer`, with its supervised loss on the response only."""
        orpo = import_experimental("orpo")
        settings = {"beta": self.config.odds_weight, "max_completion_length": 1}  # required, but not used
        trainer = type(orpo.ORPOTrainer.__name__, (LossOnResponse, orpo.ORPOTrainer), {})
        return TrainerSetup(trainer, orpo.ORPOConfig, settings, collate_concatenated)


class LossOnResponse:
    """A mixin for TRL's trainer, which otherwise trains decoder-only models on the prompt too.

    In Hong et al. the loss is on responses only, as in all methods here; long prompts would outweigh them.
    """

    def concatenated_forward(self, model: Any, batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """Mean log-probabilities of chosen and rejected, their logits, and the supervised loss."""
        chosen, rejected, chosen_logits, rejected_logits, _, *rest = super().concatenated_forward(model, batch)  # type: ignore[misc]
        lengths = (batch["chosen_labels"] != IGNORED).sum(dim=1)
        supervised = -(chosen * lengths).sum() / lengths.sum()
        return chosen, rejected, chosen_logits, rejected_logits, supervised, *rest

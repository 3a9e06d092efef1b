"""`dpo`: direct preference optimisation (Rafailov et al. 2023), through TRL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import Encoded, Encoder
from methods.knobs import knob
from methods.preference.base import PreferenceConfig, PreferenceMethod, TrainerSetup, collate_with_completion_mask
from methods.types import require


@dataclass(frozen=True, kw_only=True)
class DPOConfig(PreferenceConfig):
    """Knobs of DPO."""

    beta: float = knob(
        0.1,
        "How strongly the policy is held near the warm start: the larger, the nearer it stays; 0.1 in Rafailov et al. "
        "2023.",
    )
    supervised_weight: float = knob(
        0.0,
        "Weight of an additional supervised loss on the chosen response, which stops DPO from making the chosen "
        "response less probable too. 0 in the original; 0.2 in Llama 3 (Dubey et al. 2024), 1 in Pang et al. 2024.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "must be above 0")
        require(self.supervised_weight >= 0, "supervised_weight", "must not be negative")


class DPO(PreferenceMethod):
    """Raises the chosen response's probability over the rejected one's, relative to the warm start."""

    name = "dpo"
    summary = "warm start → preferences → direct preference optimisation (Rafailov et al. 2023)"
    Config = DPOConfig
    families = ("decoder-only",)
    has_reference = True

    def set_up_trainer(self) -> TrainerSetup:
        """TRL's `DPOTrainer` with its sigmoid loss."""
        import trl

        settings: dict[str, Any] = {"beta": self.config.beta, "max_length": None}
        if self.config.supervised_weight:
            settings.update(loss_type=["sigmoid", "sft"], loss_weights=[1.0, self.config.supervised_weight])
        return TrainerSetup(trl.DPOTrainer, trl.DPOConfig, settings, _collate)


def _collate(encoder: Encoder, chosen: list[Encoded], rejected: list[Encoded]) -> dict[str, Any]:
    return collate_with_completion_mask(encoder, [*chosen, *rejected])

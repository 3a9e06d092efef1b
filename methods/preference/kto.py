"""`kto`: Kahneman–Tversky optimisation (Ethayarajh et al. 2024), through TRL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import Encoded, Encoder
from methods.knobs import knob
from methods.preference.base import PreferenceConfig, PreferenceMethod, TrainerSetup, collate_with_completion_mask
from methods.types import TrainingJob, require


@dataclass(frozen=True, kw_only=True)
class KTOConfig(PreferenceConfig):
    """Knobs of KTO."""

    beta: float = knob(
        0.1,
        "How strongly the policy is held near the warm start: the larger, the nearer it stays; 0.1 in Ethayarajh et "
        "al. 2024.",
    )
    desirable_weight: float = knob(
        1.0,
        "Weight of chosen responses in the loss; 1 is right if there are as many of them as of rejected ones, as here.",
    )
    undesirable_weight: float = knob(1.0, "Weight of rejected responses in the loss.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "must be above 0")
        require(self.desirable_weight > 0, "desirable_weight", "must be above 0")
        require(self.undesirable_weight > 0, "undesirable_weight", "must be above 0")


class KTO(PreferenceMethod):
    """Learns from single responses that are desirable or not: each pair gives one of each."""

    name = "kto"
    summary = "warm start → preferences → Kahneman–Tversky optimisation (Ethayarajh et al. 2024)"
    Config = KTOConfig
    families = ("decoder-only",)
    has_reference = True

    def train(self, job: TrainingJob) -> None:
        """Train as all methods in stages do. Raises `UnsupportedError` for batches of one pair."""
        from methods.errors import UnsupportedError

        if job.batch_size < 2:
            raise UnsupportedError("kto needs a batch size of at least 2: it estimates a divergence within batches")
        super().train(job)

    def set_up_trainer(self) -> TrainerSetup:
        """TRL's `KTOTrainer`."""
        import trl

        names = ("beta", "desirable_weight", "undesirable_weight")
        settings = {name: getattr(self.config, name) for name in names}
        return TrainerSetup(trl.KTOTrainer, trl.KTOConfig, {**settings, "max_length": None}, _collate)


def _collate(encoder: Encoder, chosen: list[Encoded], rejected: list[Encoded]) -> dict[str, Any]:
    """Make a batch of single responses, and of each prompt with the response to another prompt, which KTO needs to
    estimate the divergence.

    If the last batch holds one pair only, the pair's own two responses are swapped.
    """
    import torch

    rows = [*chosen, *rejected]
    others = [Encoded(row.prompt, other.response, False) for row, other in zip(rows, [rows[-1], *rows], strict=False)]
    mismatched = {f"KL_{name}": tensor for name, tensor in collate_with_completion_mask(encoder, others).items()}
    label = torch.tensor([True] * len(chosen) + [False] * len(rejected))
    return {**collate_with_completion_mask(encoder, rows), **mismatched, "label": label}

"""`lomo` and `adalomo`: each weight is updated while gradients are still being computed, so that none are held.

Lv et al. 2023 fuse stochastic gradient descent with the backward pass, Lv et al. 2024 Adafactor. What the package
`lomo-optim` does by hooks that look for gradients, PyTorch does by one that runs when a gradient is complete.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods.engine.training import parameter_groups, trainable_parameters
from methods.knobs import knob
from methods.types import TrainingJob, require
from methods.whole.full import FullConfig
from methods.whole.optimisers import OtherOptimiser

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class FusedConfig(FullConfig):
    """Knobs of full fine-tuning but one: the norm over all gradients is never known, and nothing is clipped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = self.max_grad_norm == type(self).max_grad_norm
        require(kept, "max_grad_norm", "has no effect here, where gradients are never held together; leave it out")


class Fused(OtherOptimiser):
    """Steps inside the backward pass, weight by weight."""

    @abstractmethod
    def inner(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """What takes a step for each weight that has a gradient."""

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """The optimiser with hooks on all weights; its step at the end of a batch finds no gradient left."""
        weights = trainable_parameters(model)
        made = self.inner(parameter_groups(weights, self.config.weight_decay))

        def update(weight: Any) -> None:
            made.step()
            weight.grad = None

        for weight in weights:
            hooked: Any = weight  # PyTorch gives this one no types
            hooked.register_post_accumulate_grad_hook(update)
        return made

    def train(self, job: TrainingJob) -> None:
        """Raises `UnsupportedError` where gradients would have to be gathered or unscaled before a step."""
        import torch

        from methods.errors import UnsupportedError

        if job.accumulation > 1:
            raise UnsupportedError(
                f"{self.name} keeps no gradients to accumulate over {job.accumulation} passes; use --accumulation 1"
            )
        if job.dtype == torch.float16:
            raise UnsupportedError(f"{self.name} cannot scale gradients as float16 needs it; use --dtype bfloat16")
        super().train(job)


@dataclass(frozen=True, kw_only=True)
class LOMOConfig(FusedConfig):
    """Knobs of LOMO."""

    learning_rate: float = knob(
        3e-2,
        source="3e-2, of plain gradient descent; that of the authors' configuration for 7 B parameters.",
    )


class LOMO(Fused):
    """Plain gradient descent: no memory for gradients, and none for moments."""

    name = "lomo"
    summary = "every weight, gradient descent fused with the backward pass (Lv et al. 2023)"
    Config = LOMOConfig

    def inner(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """SGD without momentum."""
        import torch

        return torch.optim.SGD(groups, lr=self.config.learning_rate)


@dataclass(frozen=True, kw_only=True)
class AdaLOMOConfig(FusedConfig):
    """Knobs of AdaLomo."""

    learning_rate: float = knob(
        5e-4,
        source=(
            "5e-4, relative to the root mean square of each weight; that of the authors' script for instruction tuning."
        ),
    )


class AdaLOMO(Fused):
    """Adafactor's second moments, and updates relative to the size of each weight."""

    name = "adalomo"
    summary = "every weight, adaptive rates fused with the backward pass (Lv et al. 2024)"
    Config = AdaLOMOConfig

    def inner(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Adafactor without a first moment, whose arithmetic is AdaLomo's."""
        from transformers.optimization import Adafactor

        made: torch.optim.Optimizer = Adafactor(
            groups, lr=self.config.learning_rate, scale_parameter=True, relative_step=False
        )
        return made

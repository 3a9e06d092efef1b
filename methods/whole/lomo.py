"""`lomo` and `adalomo`: each weight is updated during the backward pass, so gradients need not be stored.

Lv et al. 2023 fuse stochastic gradient descent with the backward pass, Lv et al. 2024 do so with Adafactor. Instead
of the package `lomo-optim`, a PyTorch hook is used that runs as soon as a gradient is complete.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods.engine.training import find_trainable_parameters, group_by_weight_decay
from methods.knobs import knob
from methods.types import TrainingJob, require
from methods.whole.full import FullConfig
from methods.whole.optimisers import OptimiserMethod

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class FusedConfig(FullConfig):
    """Knobs of full fine-tuning without gradient clipping, since the norm over all gradients is never known."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = self.max_grad_norm == type(self).max_grad_norm
        require(kept, "max_grad_norm", "has no effect here, since gradients are never stored together; leave it out")


class FusedOptimiser(OptimiserMethod):
    """Updates each weight inside the backward pass."""

    @abstractmethod
    def inner(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return the optimiser that updates the weights that have a gradient."""

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Return the optimiser, which hooks of all weights call. At the end of a batch no gradients are left."""
        weights = find_trainable_parameters(model)
        made = self.inner(group_by_weight_decay(weights, self.config.weight_decay))

        def update(weight: Any) -> None:
            made.step()
            weight.grad = None

        for weight in weights:
            hooked: Any = weight  # PyTorch has no types for this function
            hooked.register_post_accumulate_grad_hook(update)
        return made

    def train(self, job: TrainingJob) -> None:
        """Train. Raises `UnsupportedError` if gradients would have to be accumulated or unscaled before a step."""
        import torch

        from methods.errors import UnsupportedError

        if job.accumulation > 1:
            raise UnsupportedError(
                f"{self.name} stores no gradients, so it cannot accumulate them over {job.accumulation} passes; "
                "use --accumulation 1"
            )
        if job.dtype == torch.float16:
            raise UnsupportedError(f"{self.name} cannot scale gradients, which float16 needs; use --dtype bfloat16")
        super().train(job)


@dataclass(frozen=True, kw_only=True)
class LOMOConfig(FusedConfig):
    """Knobs of LOMO."""

    learning_rate: float = knob(
        3e-2,
        source="3e-2, for plain gradient descent; from the authors' configuration for 7 B parameters.",
    )


class LOMO(FusedOptimiser):
    """Plain gradient descent: no memory for gradients or moments."""

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
            "5e-4, relative to the root mean square of each weight; from the authors' script for instruction tuning."
        ),
    )


class AdaLOMO(FusedOptimiser):
    """Adafactor's second moments, and updates relative to the size of each weight."""

    name = "adalomo"
    summary = "every weight, adaptive rates fused with the backward pass (Lv et al. 2024)"
    Config = AdaLOMOConfig

    def inner(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Adafactor without first moments, which computes the same as AdaLomo."""
        from transformers.optimization import Adafactor

        made: torch.optim.Optimizer = Adafactor(
            groups, lr=self.config.learning_rate, scale_parameter=True, relative_step=False
        )
        return made

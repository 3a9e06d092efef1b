"""Full-parameter training with optimisers that remember less than AdamW does: `adafactor`, `adamw-8bit` and paged.

AdamW holds two numbers in float32 for each weight that trains, twice the weights themselves. All else is `instruction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from methods.engine.training import parameter_groups, trainable_parameters
from methods.errors import missing
from methods.types import ModelFacts
from methods.whole.full import FullConfig
from methods.whole.instruction import Instruction

if TYPE_CHECKING:
    import torch


class OtherOptimiser(Instruction):
    """`instruction` with another optimiser. Subclasses make it."""

    package: ClassVar[tuple[str, str] | None] = None
    """(module, name to install it by) of what is needed beside the harness's own dependencies."""

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say what has to be installed."""
        if self.package and (lacking := missing(*self.package)):
            return f"{self.name} {lacking}"
        return super().unsupported(facts)


@dataclass(frozen=True, kw_only=True)
class AdafactorConfig(FullConfig):
    """Knobs of training with Adafactor; the rate is that of full fine-tuning, and 1e-3 is usual for T5."""


class Adafactor(OtherOptimiser):
    """Transformers' Adafactor as its `Trainer` sets it up: with our schedule, without rates relative to weights."""

    name = "adafactor"
    summary = "every weight, second moments by row and column only (Shazeer & Stern 2018)"
    Config = AdafactorConfig

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """A row and a column of second moments for each matrix, and no first moment."""
        from transformers.optimization import Adafactor as Optimiser

        groups = parameter_groups(trainable_parameters(model), self.config.weight_decay)
        made: torch.optim.Optimizer = Optimiser(
            groups, lr=self.config.learning_rate, scale_parameter=False, relative_step=False
        )
        return made


class AdamW8bit(OtherOptimiser):
    """bitsandbytes' AdamW with block-wise quantised moments; weights of fewer than 4,096 entries keep 32 bits."""

    name = "adamw-8bit"
    summary = "every weight, AdamW with moments in 8 bits (Dettmers et al. 2022)"
    package = ("bitsandbytes", "bitsandbytes")
    paged: ClassVar[bool] = False

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Of bitsandbytes, releases before 0.50 have no such kernels for a CPU."""
        reason = super().unsupported(facts)
        if reason is None and facts.device == "cpu":
            from importlib.metadata import version

            from packaging.version import Version

            if Version(found := version("bitsandbytes")) < Version("0.50"):
                return f"{self.name} needs bitsandbytes 0.50 or later on a CPU, and {found} is installed"
        return reason

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """AdamW with a byte for each moment."""
        from bitsandbytes.optim import AdamW

        groups = parameter_groups(trainable_parameters(model), self.config.weight_decay)
        made: torch.optim.Optimizer = AdamW(groups, lr=self.config.learning_rate, optim_bits=8, is_paged=self.paged)
        return made


class PagedAdamW8bit(AdamW8bit):
    """The same with moments that move to host memory when the device's runs short, as QLoRA trains."""

    name = "paged-adamw-8bit"
    summary = "adamw-8bit whose moments move to host memory when a GPU's runs short (Dettmers et al. 2023)"
    paged = True

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Only memory of a GPU can be paged."""
        if facts.device != "cuda":
            return f"{self.name} pages between a GPU and its host, and the device is {facts.device}; take adamw-8bit"
        return super().unsupported(facts)

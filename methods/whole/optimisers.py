"""Training of every weight with optimisers that need less memory than AdamW: `adafactor` and two 8-bit AdamW.

AdamW keeps two float32 numbers for each trainable weight, twice the size of the weights. Apart from the optimiser these
methods are `instruction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from methods.engine.training import find_trainable_parameters, group_by_weight_decay
from methods.errors import explain_missing_package
from methods.types import ModelFacts
from methods.whole.full import FullConfig
from methods.whole.instruction import Instruction

if TYPE_CHECKING:
    import torch


class OptimiserMethod(Instruction):
    """`instruction` with another optimiser, which subclasses create."""

    package: ClassVar[tuple[str, str] | None] = None
    """(module, package to install) of a dependency that the harness itself does not need."""

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say which package has to be installed."""
        if self.package and (lacking := explain_missing_package(*self.package)):
            return f"{self.name} {lacking}"
        return super().unsupported(facts)


@dataclass(frozen=True, kw_only=True)
class AdafactorConfig(FullConfig):
    """Knobs of training with Adafactor. The learning rate is that of full fine-tuning; 1e-3 is usual for T5."""


class Adafactor(OptimiserMethod):
    """Transformers' Adafactor as its `Trainer` sets it up: external learning rate schedule, no relative step sizes."""

    name = "adafactor"
    summary = "every weight, second moments of rows and columns only (Shazeer & Stern 2018)"
    Config = AdafactorConfig

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Adafactor: second moments of rows and columns instead of single weights, and no first moments."""
        from transformers.optimization import Adafactor as Optimiser

        groups = group_by_weight_decay(find_trainable_parameters(model), self.config.weight_decay)
        made: torch.optim.Optimizer = Optimiser(
            groups, lr=self.config.learning_rate, scale_parameter=False, relative_step=False
        )
        return made


class AdamW8bit(OptimiserMethod):
    """bitsandbytes' AdamW with block-wise quantised moments; weights of fewer than 4,096 entries keep 32 bits."""

    name = "adamw-8bit"
    summary = "every weight, AdamW with moments in 8 bits (Dettmers et al. 2022)"
    package = ("bitsandbytes", "bitsandbytes")
    paged: ClassVar[bool] = False

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if the device is a CPU and bitsandbytes is older than 0.50, which has no such kernels for CPUs."""
        reason = super().unsupported(facts)
        if reason is None and facts.device == "cpu":
            from importlib.metadata import version

            from packaging.version import Version

            if Version(found := version("bitsandbytes")) < Version("0.50"):
                return f"{self.name} needs bitsandbytes 0.50 or later on a CPU, and {found} is installed"
        return reason

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """AdamW with one byte for each moment."""
        from bitsandbytes.optim import AdamW

        groups = group_by_weight_decay(find_trainable_parameters(model), self.config.weight_decay)
        made: torch.optim.Optimizer = AdamW(groups, lr=self.config.learning_rate, optim_bits=8, is_paged=self.paged)
        return made


class PagedAdamW8bit(AdamW8bit):
    """`adamw-8bit` with moments that move to host memory when GPU memory runs short, as in QLoRA."""

    name = "paged-adamw-8bit"
    summary = "adamw-8bit whose moments move to host memory when a GPU's runs short (Dettmers et al. 2023)"
    paged = True

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if the device is not a CUDA GPU: only GPU memory can be paged."""
        if facts.device != "cuda":
            return f"{self.name} pages between a GPU and its host, and the device is {facts.device}; take adamw-8bit"
        return super().unsupported(facts)

"""Variants of LoRA under the names of their papers: `lora` or `qlora` with other defaults."""

from __future__ import annotations

from dataclasses import dataclass

from methods.adapters.lora import Init, LoRA, LoRAConfig
from methods.adapters.qlora import QLoRA, QLoRAConfig
from methods.knobs import knob


@dataclass(frozen=True, kw_only=True)
class DoRAConfig(LoRAConfig):
    """LoRA's knobs with `use_dora` on."""

    use_dora: bool = True


class DoRA(LoRA):
    """Weight-decomposed low-rank adaptation."""

    name = "dora"
    summary = "lora that trains magnitude and direction of weights separately (Liu et al. 2024)"
    Config = DoRAConfig


@dataclass(frozen=True, kw_only=True)
class RSLoRAConfig(LoRAConfig):
    """LoRA's knobs with `use_rslora` on."""

    use_rslora: bool = True


class RSLoRA(LoRA):
    """Rank-stabilised LoRA."""

    name = "rslora"
    summary = "lora scaled by alpha / √r, for high ranks (Kalajdzievski 2023)"
    Config = RSLoRAConfig


@dataclass(frozen=True, kw_only=True)
class PiSSAConfig(LoRAConfig):
    """LoRA's knobs with `init=pissa`; the same learning rate, as in the paper's comparison."""

    init: Init = "pissa"


class PiSSA(LoRA):
    """Principal singular values and vectors adaptation."""

    name = "pissa"
    summary = "lora that starts from the weights' largest singular values (Meng et al. 2024)"
    Config = PiSSAConfig


@dataclass(frozen=True, kw_only=True)
class LoRAPlusConfig(LoRAConfig):
    """LoRA's knobs with different learning rates of A and B."""

    learning_rate: float = knob(
        1e-4,
        source="1e-4 for A: half of LoRA's, since B's is much higher; PEFT's documentation advises a lower rate.",
    )
    lr_ratio: float = knob(16, "Learning rate of B divided by that of A; Hayou et al. 2024 advise about 2⁴.")


class LoRAPlus(LoRA):
    """LoRA with a higher learning rate for B."""

    name = "lora-plus"
    summary = "lora whose second matrix learns faster than its first (LoRA+, Hayou et al. 2024)"
    Config = LoRAPlusConfig


@dataclass(frozen=True, kw_only=True)
class LoftQConfig(QLoRAConfig):
    """QLoRA's knobs with `init=loftq`."""

    init: Init = "loftq"


class LoftQ(QLoRA):
    """LoftQ, with the same 4-bit weights as `qlora`."""

    name = "loftq"
    summary = "qlora that starts from the quantisation error (Li et al. 2024)"
    Config = LoftQConfig

"""`lora`: low-rank updates beside frozen weights (Hu et al. 2022), through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from methods.base import Method, Setting, TrainingConfig, require

TASK_TYPES = {"decoder-only": "CAUSAL_LM", "encoder-decoder": "SEQ_2_SEQ_LM"}
"""Model family → PEFT's `TaskType`."""


@dataclass(frozen=True, kw_only=True)
class LoRAConfig(TrainingConfig):
    """Knobs of LoRA.

    learning_rate: 2e-4, Dettmers et al. 2023 (QLoRA, table 9) for models up to 13 B parameters.
    """

    learning_rate: float = 2e-4
    r: int = 8
    """Rank of the update; PEFT's default."""
    alpha: float = 16
    """The update is scaled by alpha / r; twice the rank, as in Microsoft's `loralib` examples."""
    dropout: float = 0.0
    """Dropout on the adapter's input; PEFT's default."""
    target_modules: str = "all-linear"
    """`all-linear` (every linear layer but the output head; Dettmers et al. 2023), or names joined by `+`."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases train besides; PEFT's default."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.r >= 1, "r", "must be at least 1")
        require(self.alpha > 0, "alpha", "must be above 0")
        require(0 <= self.dropout < 1, "dropout", "must be at least 0 and below 1")


class LoRA(Method):
    """Low-rank adapters on the linear layers."""

    name = "lora"
    summary = "low-rank adapters on frozen weights (Hu et al. 2022)"
    Config = LoRAConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Wrap the model with PEFT's LoRA; the base weights are frozen."""
        import peft

        targets = self.config.target_modules
        config = peft.LoraConfig(
            task_type=TASK_TYPES[setting.facts.family],
            r=self.config.r,
            lora_alpha=self.config.alpha,
            lora_dropout=self.config.dropout,
            bias=self.config.bias,
            target_modules=targets if targets == "all-linear" else targets.split("+"),
        )
        try:
            return peft.get_peft_model(model, config)
        except ValueError as error:
            from methods.errors import InvalidSettingError

            raise InvalidSettingError(f"{self.name}.target_modules: {str(error).splitlines()[0]}") from error

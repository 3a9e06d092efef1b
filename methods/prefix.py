"""`prefix`: trained keys and values before every layer's own (Li & Liang 2021), through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from methods.base import Method, Setting, TrainingConfig, require
from methods.encoding import Encoder
from methods.lora import TASK_TYPES


@dataclass(frozen=True, kw_only=True)
class PrefixConfig(TrainingConfig):
    """Knobs of prefix tuning.

    learning_rate: 5e-3, as PEFT's method comparison uses for prefix tuning; a prefix wants far more than LoRA.
    """

    learning_rate: float = 5e-3
    virtual_tokens: int = 20
    """Length of the prefix, in tokens; Li & Liang use 200 for summarization and 10 for table-to-text."""
    init: Literal["text", "random"] = "text"
    """Start: the base model's own keys and values of a training prompt (better with little data, Li & Liang
    section 7.4), or random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.virtual_tokens >= 1, "virtual_tokens", "must be at least 1")

"""`instruction`: every parameter trains, on examples written as instructions in several phrasings."""

from __future__ import annotations

from typing import Any

from methods.base import Method
from methods.types import Setting
from methods.whole.full import FullConfig


class Instruction(Method):
    """Instruction tuning (Wei et al. 2022, FLAN): loss on the response only, chat template if there is one."""

    name = "instruction"
    summary = "every parameter, examples written as instructions in several phrasings"
    Config = FullConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Make every parameter trainable."""
        model.requires_grad_(True)
        return model

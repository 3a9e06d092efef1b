"""`full`: every parameter trains, on plain input → target pairs without an instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from methods.base import Method
from methods.knobs import knob
from methods.types import Example, Setting, Text, TrainingConfig

SEPARATOR = "\n\n"
"""Ends the input, so that a decoder-only model can tell where the target begins."""


@dataclass(frozen=True, kw_only=True)
class FullConfig(TrainingConfig):
    """Knobs of full fine-tuning."""

    learning_rate: float = knob(
        5e-5,
        source=(
            "5e-5, the default of Transformers' `TrainingArguments`, in the range 2e-5 to 5e-5 of Devlin et al. 2019 "
            "(BERT, appendix A.3)."
        ),
    )


class Full(Method):
    """Full fine-tuning on plain pairs."""

    name = "full"
    summary = "every parameter, plain input → target pairs"
    Config = FullConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Make every parameter trainable."""
        model.requires_grad_(True)
        return model

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """Write input, separator and target, without an instruction or a chat template."""
        return Text("", example.input, SEPARATOR, example.target)

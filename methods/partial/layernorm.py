"""`layernorm`: only the weights of normalisation layers train (Zhao et al. 2023, "Tuning LayerNorm in Attention")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from methods.knobs import knob
from methods.partial.base import Partial
from methods.types import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class LayerNormConfig(TrainingConfig):
    """Knobs of training normalisation layers."""

    learning_rate: float = knob(
        1e-3,
        source="1e-3, as for `bitfit`; so few weights need a higher rate than the 5e-5 of full fine-tuning.",
    )


class LayerNorm(Partial):
    """Trains scale and shift, if any, of every normalisation layer."""

    name = "layernorm"
    summary = "only the weights of normalisation layers (Zhao et al. 2023)"
    Config = LayerNormConfig

    def choose(self, model: Any) -> Iterable[Any]:
        """Return the weights of layers whose class name ends in `Norm`: `LayerNorm`, `LlamaRMSNorm`, `T5LayerNorm`, ….

        Raises `UnsupportedError` if there are none.
        """
        from methods.errors import UnsupportedError

        norms = [module for module in model.modules() if type(module).__name__.endswith("Norm")]
        weights = [parameter for norm in norms for parameter in norm.parameters()]
        if not weights:
            raise UnsupportedError(
                f"{self.name} has nothing to train: {type(model).__name__} has no normalisation layer with weights"
            )
        return weights

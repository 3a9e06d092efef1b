"""`bitfit`: only biases train (Ben Zaken et al. 2022). Linear layers without a bias get one that starts at zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from methods.engine.layers import find_linear_layers
from methods.knobs import knob
from methods.partial.base import Partial
from methods.types import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class BitFitConfig(TrainingConfig):
    """Knobs of BitFit."""

    learning_rate: float = knob(1e-3, source="1e-3, the upper end of what Ben Zaken et al. 2022 search (1e-4 to 1e-3).")
    add: bool = knob(
        True,
        "Whether linear layers without a bias get one, except the output head. It starts at zero and so does not "
        "change the model by itself. The paper's models (BERT, RoBERTa) have biases everywhere; Llama, T5 and most "
        "later models have few or none. `false` is exactly the paper's method, and unsupported on a model without "
        "biases.",
    )


class BitFit(Partial):
    """Trains biases only."""

    name = "bitfit"
    summary = "only biases, added at zero where a model has none (Ben Zaken et al. 2022)"
    Config = BitFitConfig

    def choose(self, model: Any) -> Iterable[Any]:
        """Return every bias. Raises `UnsupportedError` if there is none and none is added."""
        from methods.errors import UnsupportedError

        if self.config.add:
            for layer in find_linear_layers(model).values():
                _add_bias(layer)
        biases = [parameter for name, parameter in model.named_parameters() if name.rpartition(".")[2] == "bias"]
        if not biases:
            raise UnsupportedError(
                f"{self.name} with add=false has nothing to train: {type(model).__name__} has no biases; leave add on"
            )
        return biases

    def make_room(self, model: Any, shipped: Iterable[str]) -> None:
        """Add the biases that were added for training."""
        layers = find_linear_layers(model)
        for name in shipped:
            owner, _, kind = name.rpartition(".")
            if kind == "bias" and owner in layers:
                _add_bias(layers[owner])


def _add_bias(layer: Any) -> None:
    import torch

    if layer.bias is None:
        layer.bias = torch.nn.Parameter(layer.weight.new_zeros(layer.out_features))

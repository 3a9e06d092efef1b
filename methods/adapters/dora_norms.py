"""DoRA on weights with rows of zeros, such as pruned models have: it divides by each row's norm, and PEFT's by zero."""

from __future__ import annotations

from typing import Any

TINY = 1e-6
"""Smallest norm of a row."""


def keep_norms_above_zero(model: Any, *, fresh: bool = False) -> Any:
    """The PEFT model, whose DoRA layers take no norm for less than `TINY`.

    `fresh` where the adapter was just made: its magnitudes, which start as the norms, begin above zero too.
    """
    for module in model.modules():
        if hasattr(module, "get_weight_norm"):
            norm = module.get_weight_norm
            module.get_weight_norm = lambda *given, norm=norm, **named: norm(*given, **named).clamp_min(TINY)
            if fresh:
                module.weight.data.clamp_(min=TINY)
    return model

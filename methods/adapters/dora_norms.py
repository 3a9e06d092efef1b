"""Keeps DoRA from dividing by zero on weights with rows of zeros, such as pruned models have.

DoRA divides each row of a weight by its norm; in PEFT that norm may be zero.
"""

from __future__ import annotations

from typing import Any

SMALLEST_NORM = 1e-6
"""Smaller norms of a row are raised to this."""


def keep_norms_above_zero(model: Any, *, fresh: bool = False) -> Any:
    """Return the PEFT model with DoRA layers that take no norm as less than `SMALLEST_NORM`.

    Set `fresh` if the adapter was just created: its magnitudes, which start as the norms, are raised too.
    """
    for module in model.modules():
        if hasattr(module, "get_weight_norm"):
            norm = module.get_weight_norm
            module.get_weight_norm = lambda *given, norm=norm, **named: norm(*given, **named).clamp_min(SMALLEST_NORM)
            if fresh:
                module.weight.data.clamp_(min=SMALLEST_NORM)
    return model

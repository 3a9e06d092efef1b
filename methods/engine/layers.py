"""Finds and sets up layers of a model, for several methods."""

from __future__ import annotations

from typing import Any


def find_linear_layers(model: Any) -> dict[str, Any]:
    """Find the linear layers, by name, without the output head."""
    import torch

    head = model.get_output_embeddings()
    return {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head}


def keep_compute_dtype(model: Any) -> None:
    """Stop 4-bit layers on a CPU from switching to bfloat16 by themselves.

    On CPUs with AVX512-BF16, bitsandbytes (0.49 and 0.50) repacks a 4-bit layer the first time that it is evaluated:
    from then on it computes in bfloat16 whatever dtype was set, and it cannot be trained because no gradient flows.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False

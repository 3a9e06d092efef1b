"""Chooses knobs that depend on model and data: (model, setting, target modules, PEFT's default) → value."""

from __future__ import annotations

import math
from typing import Any

from methods.errors import UnsupportedError
from methods.types import Setting


def choose_block_size(model: Any, setting: Setting, targets: Any, most: int) -> int:
    """Choose the largest number up to PEFT's default that divides both widths of every adapted layer."""
    common = math.gcd(*(width for layer in find_adapted_layers(model, targets) for width in layer.weight.shape))
    found = next(number for number in range(most, 0, -1) if common % number == 0)
    if found == 1:
        raise UnsupportedError("no block size above 1 divides the widths of all adapted layers")
    return found


def choose_coefficients(model: Any, setting: Setting, targets: Any, most: int) -> int:
    """Choose PEFT's default number of coefficients, or at most the entries of the smallest adapted layer."""
    return min(most, *(int(layer.weight.numel()) for layer in find_adapted_layers(model, targets)))


def choose_rank(model: Any, setting: Setting, targets: Any, most: int) -> int:
    """Choose PEFT's default rank, or at most the smallest width of the adapted layers."""
    return min(most, *(int(width) for layer in find_adapted_layers(model, targets) for width in layer.weight.shape))


def choose_sparse_rank(model: Any, setting: Setting, targets: Any, most: int) -> int:
    """Choose PEFT's default rank, or less, so that at most half of the entries of every adapted layer train."""
    half = (int(layer.weight.numel() // (2 * sum(layer.weight.shape))) for layer in find_adapted_layers(model, targets))
    return max(1, min(most, *half))


def choose_upper_layers(model: Any, setting: Setting, targets: Any, most: None) -> int:
    """Choose all layers but the lowest two, as LLaMA-Adapter does (30 of 32); at least one."""
    return max(1, int(model.config.get_text_config().num_hidden_layers) - 2)


def choose_instruction_tokens(model: Any, setting: Setting, targets: Any, most: Any) -> list[int]:
    """Choose the ids of all tokens in the task's phrasings, so that the embeddings of real words are trained."""
    texts = [part for template in setting.templates for part in template.split("{input}") if part]
    rows = setting.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return sorted({token for row in rows for token in row})


def find_adapted_layers(model: Any, targets: Any) -> list[Any]:
    """Find the linear layers that `targets` names: `all-linear`, or names or ends of names.

    GPT-2's layers are `Conv1D`, with the transposed weight of a `Linear`; no rule here depends on that. Raises
    `UnsupportedError` if there is none.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    head, found = model.get_output_embeddings(), []
    for name, module in model.named_modules():
        named = targets in (None, "all-linear") or any(f".{name}".endswith(f".{target}") for target in targets)
        if named and isinstance(module, torch.nn.Linear | Conv1D) and module is not head:
            found.append(module)
    if not found:
        which = "" if targets in (None, "all-linear") else f" that target_modules={'+'.join(targets)} names"
        raise UnsupportedError(f"the model has no linear layer{which}")
    return found

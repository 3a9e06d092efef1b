"""Cross-entropy over target tokens: one definition for training and for held-out evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from methods.encoding import IGNORED

if TYPE_CHECKING:
    import torch


def target_loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy per target token, in nats: a scalar in float32.

    `batch` is what `Encoder.training_batch` returns, on the model's device. It is the loss that Transformers computes
    from the labels. But a decoder-only model is asked for logits only from the first target on: with a vocabulary of
    50,000, a row of 500 tokens and 30 targets, those of the prompt would take most of the memory and much of the time.
    """
    from torch.nn.functional import cross_entropy

    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    labels = batch["labels"]
    if not keeps_logits(model):
        loss: torch.Tensor = model(**inputs, labels=labels, use_cache=False).loss
        return loss
    # The logits at one position predict the next token, so those for the first target stand one before it.
    first = max(1, int((labels != IGNORED).any(dim=0).nonzero()[0]))
    logits = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first + 1).logits[:, :-1]
    return cross_entropy(logits.float().flatten(0, 1), labels[:, first:].flatten(), ignore_index=IGNORED)


def keeps_logits(model: Any) -> bool:
    """Whether the model's `forward` can leave out logits; encoder–decoder models have none to leave out."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT's passes arguments on
    return "logits_to_keep" in inspect.signature(inner.forward).parameters

"""Cross-entropy over target tokens: one definition for training and for held-out evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from methods.engine.encoding import IGNORED

if TYPE_CHECKING:
    import torch


def target_loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy per target token, in nats: a scalar in float32.

    `batch` is what `Encoder.training_batch` returns, on the model's device. It is the loss that Transformers computes
    from the labels.
    """
    from torch.nn.functional import cross_entropy

    logits, labels = _aligned(model, batch)
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def row_losses(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of each row of a batch, summed over its target tokens, in nats: (rows,) in float32."""
    from torch.nn.functional import cross_entropy

    logits, labels = _aligned(model, batch)
    return cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none").sum(dim=1)


def _aligned(model: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits in float32 and the labels that they predict, position by position.

    A decoder-only model is asked for logits only from the first target on: with a vocabulary of 50,000, a row of 500
    tokens and 30 targets, those of the prompt would take most of the memory and much of the time.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    labels = batch["labels"]
    if model.config.is_encoder_decoder:  # the decoder's input is made from the labels
        return model(**inputs, labels=labels, use_cache=False).logits.float(), labels
    if not keeps_logits(model):
        logits = model(**inputs, use_cache=False).logits[:, -labels.shape[1] :]  # virtual tokens come before
        return logits[:, :-1].float(), labels[:, 1:]
    # The logits at one position predict the next token, so those for the first target stand one before it.
    first = max(1, int((labels != IGNORED).any(dim=0).nonzero()[0]))
    logits = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first + 1).logits[:, :-1]
    return logits.float(), labels[:, first:]


def keeps_logits(model: Any) -> bool:
    """Whether the model's `forward` can leave out logits; encoder–decoder models have none to leave out."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT's passes arguments on
    return "logits_to_keep" in inspect.signature(inner.forward).parameters

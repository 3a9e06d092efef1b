"""Cross-entropy over target tokens: one definition for training and for held-out evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from methods.engine.encoding import IGNORED

if TYPE_CHECKING:
    import torch


def compute_loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy per target token in nats, a float32 scalar.

    `batch` is what `Encoder.training_batch` returns, on the model's device. The result is the loss that
    Transformers computes from the labels.
    """
    from torch.nn.functional import cross_entropy

    logits, labels = _align_logits(model, batch)
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def compute_row_losses(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of each row of a batch, summed over its target tokens, in nats: (rows,) in float32."""
    from torch.nn.functional import cross_entropy

    logits, labels = _align_logits(model, batch)
    return cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none").sum(dim=1)


def _align_logits(model: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits in float32 and, for each position, the label that they predict.

    A decoder-only model computes logits only from the first target token on. With a vocabulary of 50,000 and 30 targets
    in a row of 500 tokens, the logits of the prompt would take most of the memory and much of the time.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    labels = batch["labels"]
    if model.config.is_encoder_decoder:  # the decoder's input is made from the labels
        return model(**inputs, labels=labels, use_cache=False).logits.float(), labels
    if not accepts_logits_to_keep(model):
        logits = model(**inputs, use_cache=False).logits[:, -labels.shape[1] :]  # virtual tokens come first
        return logits[:, :-1].float(), labels[:, 1:]
    # The logits at one position predict the next token, so those for the first target stand one before it.
    first = max(1, int((labels != IGNORED).any(dim=0).nonzero()[0]))
    logits = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first + 1).logits[:, :-1]
    return logits.float(), labels[:, first:]


def accepts_logits_to_keep(model: Any) -> bool:
    """Whether the model's `forward` takes `logits_to_keep`; the one of encoder–decoder models does not."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT's forward passes arguments on
    return "logits_to_keep" in inspect.signature(inner.forward).parameters

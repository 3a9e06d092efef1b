"""Measures forgetting: the loss on general text of the base model, and of the model that was trained from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from harness.models.transformers_backend import LOSS_BATCH, measure_loss
from methods.engine.encoding import Encoded, Encoder
from methods.engine.training_state import read_random_state, restore_random_state
from methods.types import Limits, ModelFacts, Text


class GeneralLoss:
    """The loss of a model on the second halves of general passages, given the first halves. Encodes them once.

    The text is raw, without instruction, chat template or end token: it does not depend on how a method writes its
    examples, and having learned when to stop is neither gain nor loss. A passage that exceeds the limits is shortened,
    so that the second half always directly follows the first.
    """

    def __init__(
        self, passages: Sequence[str], tokenizer: Any, facts: ModelFacts, limits: Limits, *, batch_size: int, dtype: Any
    ) -> None:
        self._encoder = Encoder(tokenizer, facts.family, limits)
        self._device = facts.device
        self._size = min(batch_size, LOSS_BATCH)
        self._dtype = dtype
        end = len(self._encoder.end_tokens(chat=False))
        # The end token is removed below, so the limit leaves room for it.
        long_encoder = Encoder(tokenizer, facts.family, Limits(limits.input_tokens, limits.target_tokens + end))
        found = long_encoder.encode_all([_split_into_text(passage) for passage in passages])
        fitting = [_shorten_to_fit(long_encoder, passage, item) for passage, item in zip(passages, found, strict=True)]
        self.encoded = [dataclasses.replace(item, response=item.response[:-end]) for item in fitting]
        """One item for each passage, in order."""

    def measure(self, model: Any) -> list[float]:
        """One value for each passage, whose mean is the loss of the second halves in nats per token (`average_ratio`).

        Has no side effects: restores the random state, and releases cached device memory.
        """
        import torch

        before = read_random_state(self._device)
        losses = measure_loss(model, self._encoder, self.encoded, self._size, self._dtype)
        restore_random_state(before, self._device)
        if self._device != "cpu":
            torch.get_device_module(self._device).empty_cache()
        return losses


def compare_losses(
    before: Sequence[float] | None, after: Sequence[float]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics, and their values for each passage; `forgetting` only if the loss before training was measured."""
    scores = {"general_loss": list(after)}
    if before is not None:
        scores["forgetting"] = [new - old for old, new in zip(before, after, strict=True)]
    metrics = {name: math.fsum(values) / len(values) for name, values in scores.items()}
    if before is not None:
        metrics["general_loss_before"] = math.fsum(before) / len(before)
    return metrics, scores


def _shorten_to_fit(encoder: Encoder, passage: str, encoded: Encoded) -> Encoded:
    while encoded.cut and len(less := shorten(passage)) < len(passage):
        passage = less
        encoded = encoder.encode(_split_into_text(passage))
    return encoded


def _split_into_text(passage: str) -> Text:
    first, second = split_in_half(passage)
    return Text("", first, "", second)


def split_in_half(passage: str) -> tuple[str, str]:
    """Split a passage at the last space of its first half, or in the middle if there is no space."""
    middle = len(passage) // 2
    at = passage.rfind(" ", 1, middle + 1)
    return (passage[:at], passage[at:]) if at > 0 else (passage[:middle], passage[middle:])


def shorten(passage: str) -> str:
    """The first three quarters of a passage, cut at a space if there is one."""
    kept = passage[: max(2, len(passage) * 3 // 4)]
    return kept.rpartition(" ")[0] or kept

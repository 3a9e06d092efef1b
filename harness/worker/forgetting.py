"""The loss of a model on the general text: measured on the loaded base and on what became of it. Runs in the worker."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from harness.tasks.general_text import halves, shortened
from harness.worker.generate import LOSS_BATCH, measure_loss
from methods.engine.encoding import Encoded, Encoder
from methods.engine.training_state import read_random_state, restore_random_state
from methods.types import Limits, ModelFacts, Text


class GeneralLoss:
    """Continuations of general passages, encoded once: a model reads the first half and is measured on the second.

    The text stands raw, with no instruction, no chat template and no end token: nothing of how a method writes its
    examples is in it, and having learned when to stop is neither gain nor loss. A passage that does not fit into the
    limits is shortened, so that the second half always follows on the first.
    """

    def __init__(
        self, passages: Sequence[str], tokenizer: Any, facts: ModelFacts, limits: Limits, *, batch_size: int, dtype: Any
    ) -> None:
        self._encoder = Encoder(tokenizer, facts.family, limits)
        self._device = facts.device
        self._size = min(batch_size, LOSS_BATCH)
        self._dtype = dtype
        end = len(self._encoder.end_tokens(chat=False))
        # The end token is taken off again, and its place is for the text.
        roomy = Encoder(tokenizer, facts.family, Limits(limits.input_tokens, limits.target_tokens + end))
        found = roomy.encode_all([_text(passage) for passage in passages])
        fitting = [_fitting(roomy, passage, item) for passage, item in zip(passages, found, strict=True)]
        self.encoded = [dataclasses.replace(item, response=item.response[:-end]) for item in fitting]
        """One item a passage, in order."""

    def of(self, model: Any) -> list[float]:
        """Nats per token of the second halves, as one value for each passage, whose mean it is (`average_ratio`).

        Leaves no trace: random numbers go on as if nothing had been measured, and a device's memory is given back.
        """
        import torch

        before = read_random_state(self._device)
        losses = measure_loss(model, self._encoder, self.encoded, self._size, self._dtype)
        restore_random_state(before, self._device)
        if self._device != "cpu":
            torch.get_device_module(self._device).empty_cache()
        return losses


def compared(before: Sequence[float] | None, after: Sequence[float]) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics, and values for each passage of those that are compared; no forgetting where nothing was before."""
    scores = {"general_loss": list(after)}
    if before is not None:
        scores["forgetting"] = [new - old for old, new in zip(before, after, strict=True)]
    metrics = {name: math.fsum(values) / len(values) for name, values in scores.items()}
    if before is not None:
        metrics["general_loss_before"] = math.fsum(before) / len(before)
    return metrics, scores


def _fitting(encoder: Encoder, passage: str, encoded: Encoded) -> Encoded:
    while encoded.cut and len(less := shortened(passage)) < len(passage):
        passage = less
        encoded = encoder.encode(_text(passage))
    return encoded


def _text(passage: str) -> Text:
    first, second = halves(passage)
    return Text("", first, "", second)

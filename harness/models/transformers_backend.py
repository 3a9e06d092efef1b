"""From examples to answers and losses, with Transformers: the same greedy generation for every method.

Each method writes its prompts in its own way; all else is equal. Examples are sorted by length for speed and
returned in their own order.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.models.backend import Backend, Generation, LoadedModel
from harness.models.loading import load_model
from harness.request import Decoding, TrialRequest
from methods.base import Method
from methods.engine.encoding import IGNORED, Encoded, Encoder
from methods.engine.loss import compute_row_losses
from methods.engine.training_state import read_random_state, restore_random_state
from methods.types import Limits, ModelFacts, Text

LOSS_BATCH = 8
"""Most examples in one forward pass for the held-out loss. Unlike generation, which holds logits for one position, it
holds them for every position from a batch's first target on: small batches of like lengths hold few."""


class TransformersBackend(Backend):
    """Models of Transformers on PyTorch, whatever has been wrapped around them."""

    def load(self, method: Method, request: TrialRequest, facts: ModelFacts) -> LoadedModel:
        """Seed, load, and seed again: loading may draw numbers, and not the same ones for every method."""
        import torch

        random.seed(request.seed)
        dtype = getattr(torch, request.dtype)
        torch.manual_seed(request.seed)
        model, tokenizer = load_model(
            request.model,
            device=facts.device,
            dtype=dtype,
            options=method.load_options(facts, dtype),
            trust_remote_code=request.trust_remote_code,
        )
        torch.manual_seed(request.seed)
        return LoadedModel(model, tokenizer, facts, dtype)

    def encode(self, loaded: LoadedModel, texts: Sequence[Text], limits: Limits) -> list[Encoded]:
        """Token ids within the limits."""
        return _make_encoder(loaded, limits).encode_all(texts)

    def generate(
        self,
        method: Method,
        loaded: LoadedModel,
        prompts: Sequence[Encoded],
        limits: Limits,
        decoding: Decoding,
        on_progress: Callable[[float], None],
    ) -> list[Generation]:
        """Greedy answers."""
        return generate(method, loaded.model, _make_encoder(loaded, limits), prompts, decoding, on_progress)

    def measure_loss(
        self, loaded: LoadedModel, prompts: Sequence[Encoded], limits: Limits, batch_size: int
    ) -> list[float]:
        """Cross-entropy of the responses."""
        encoder = _make_encoder(loaded, limits)
        return measure_loss(loaded.model, encoder, prompts, min(batch_size, LOSS_BATCH), loaded.dtype)

    def count_parameters(self, model: Any) -> tuple[int, int]:
        """Tied weights count once; packed 4-bit weights as the parameters they stand for."""
        from harness.measure.parameters import count_parameters

        return count_parameters(model)

    @contextlib.contextmanager
    def pause_training(self, loaded: LoadedModel) -> Iterator[None]:
        """Every module in evaluation mode, and afterwards in its own again."""
        modes = [(module, module.training) for module in loaded.model.modules()]
        numbers = read_random_state(loaded.facts.device)
        loaded.model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            restore_random_state(numbers, loaded.facts.device)


def generate(
    method: Method,
    model: Any,
    encoder: Encoder,
    encoded: Sequence[Encoded],
    decoding: Decoding,
    on_progress: Callable[[float], None],
) -> list[Generation]:
    """Greedy answers, in the order of `encoded`. Pads, the end and everything after it are left out."""
    import torch

    answers: dict[int, Generation] = {}
    settings = {
        "max_new_tokens": decoding.max_new_tokens,
        "num_beams": decoding.num_beams,
        "do_sample": decoding.do_sample,
        "pad_token_id": encoder.tokenizer.pad_token_id,
        "tokenizer": encoder.tokenizer,
    }
    for chosen in _batch_by_length(encoded, decoding.batch_size):
        stops = encoder.find_stops(model, chat=encoded[chosen[0]].chat)
        batch = encoder.generation_batch([encoded[i] for i in chosen])
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        with torch.inference_mode():
            ids = method.generate(model, batch, **settings, **stops.make_settings(encoder.tokenizer))
        # Encoder–decoder output begins with the decoder's start token, decoder-only output with the prompt.
        skip = 1 if encoder.family == "encoder-decoder" else batch["input_ids"].shape[1]
        for i, row in zip(chosen, ids[:, skip:].tolist(), strict=True):
            answer = stops.read_answer(encoder.tokenizer, row)
            answers[i] = Generation(answer.text, answer.tokens, answer.ended)
        on_progress(len(answers) / len(encoded))
    return [answers[i] for i in range(len(encoded))]


def measure_loss(model: Any, encoder: Encoder, encoded: Sequence[Encoded], batch_size: int, dtype: Any) -> list[float]:
    """Cross-entropy per token of the responses in nats, as one value for each of them (`average_ratio`)."""
    import torch

    losses, tokens = [0.0] * len(encoded), [0] * len(encoded)
    for chosen in _batch_by_length(encoded, batch_size):
        batch = encoder.training_batch([encoded[i] for i in chosen])
        targets = (batch["labels"] != IGNORED).sum(dim=1).tolist()
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        mixed = dtype != torch.float32
        with torch.inference_mode(), torch.autocast(model.device.type, dtype=dtype, enabled=mixed):
            found = compute_row_losses(model, batch).tolist()
        for i, loss, count in zip(chosen, found, targets, strict=True):
            losses[i], tokens[i] = loss, count
    return average_ratio(losses, tokens)


def average_ratio(totals: Sequence[float], counts: Sequence[int]) -> list[float]:
    """One value for each example, whose mean is all of `totals` over all of `counts`.

    Their spread is that of this ratio to first order (the delta method), so that they can be resampled like scores.
    """
    ratio, size = sum(totals) / sum(counts), sum(counts) / len(counts)
    return [ratio + (total - ratio * count) / size for total, count in zip(totals, counts, strict=True)]


def _make_encoder(loaded: LoadedModel, limits: Limits) -> Encoder:
    return Encoder(loaded.tokenizer, loaded.facts.family, limits)


def _batch_by_length(encoded: Sequence[Encoded], size: int) -> Iterator[list[int]]:
    """Batches of indices, longest prompts first, so that the largest batch meets memory at once; no batch has prompts
    with and without the chat template, which end differently."""
    for _, alike in itertools.groupby(
        sorted(range(len(encoded)), key=lambda i: (encoded[i].chat, -len(encoded[i].prompt), i)),
        key=lambda i: encoded[i].chat,
    ):
        order = list(alike)
        for start in range(0, len(order), size):
            yield order[start : start + size]

"""The same held-out evaluation for every method: greedy generation, ROUGE per example, held-out loss.

Each method writes its prompts in its own way, always in the first phrasing; all else is equal. Examples are sorted
by length for speed and returned in their own order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.metrics.chosen import Measured
from harness.metrics.rouge import Rouge
from harness.repetition import repeats_itself
from methods.base import Method
from methods.encoding import IGNORED, Encoded, Encoder
from methods.loss import row_losses
from methods.types import Example, Limits, ModelFacts
from reports.metrics import METRICS, Metric

LOSS_BATCH = 8
"""Most examples in one forward pass for the held-out loss. Unlike generation, which holds logits for one position, it
holds them for every position from a batch's first target on: small batches of like lengths hold few."""


@dataclass(frozen=True)
class Generation:
    """One generated answer."""

    text: str
    tokens: int
    """Tokens generated, the end token included, padding left out."""
    finished: bool
    """Whether an end token came before the length limit."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one trial and the rows of its predictions file, in the order of the examples."""

    metrics: dict[str, float | None]
    scores: dict[str, list[float]]
    """Of metrics that are means over examples: the examples' values."""
    rows: list[dict[str, Any]]
    cut: int
    """Examples whose input or target was cut to the limits."""
    declared: dict[str, Metric] = field(default_factory=dict)
    """What metrics say of their numbers that do not come with the harness."""


def evaluate(
    method: Method,
    model: Any,
    tokenizer: Any,
    facts: ModelFacts,
    dtype: Any,
    examples: Sequence[Example],
    templates: Sequence[str],
    limits: Limits,
    decoding: Mapping[str, Any],
    on_progress: Callable[[float], None],
) -> Evaluation:
    """Generate for every example, score against all its references, and measure the loss on the first.

    `on_progress` is told the share of examples that have their answer.
    """
    texts = [method.write(example, templates, 0) for example in examples]
    started = time.perf_counter()
    if facts.family == "toy":
        answers = [model.answer(text.input) for text in texts]
        generations = [Generation(answer, tokens, True) for answer, tokens in answers]
        generating, loss, cut = time.perf_counter() - started, None, 0
    else:
        encoder = Encoder(tokenizer, facts.family, limits)
        encoded = encoder.encode_all(texts)
        started = time.perf_counter()
        generations = generate(method, model, encoder, encoded, decoding, on_progress)
        generating = time.perf_counter() - started
        loss = loss_per_token(model, encoder, encoded, min(decoding["batch_size"], LOSS_BATCH), dtype)
        cut = sum(item.cut for item in encoded)
    return summarise(examples, generations, generating, loss, cut)


def generate(
    method: Method,
    model: Any,
    encoder: Encoder,
    encoded: Sequence[Encoded],
    decoding: Mapping[str, Any],
    on_progress: Callable[[float], None],
) -> list[Generation]:
    """Greedy answers, in the order of `encoded`. Pads and everything after the end token are left out."""
    import torch

    answers: dict[int, Generation] = {}
    stops = encoder.stop_tokens()
    settings = {
        "max_new_tokens": decoding["max_new_tokens"],
        "num_beams": decoding["num_beams"],
        "do_sample": decoding["do_sample"],
        "eos_token_id": stops,
        "pad_token_id": encoder.tokenizer.pad_token_id,
        "tokenizer": encoder.tokenizer,
    }
    for chosen in _by_length(encoded, decoding["batch_size"]):
        batch = encoder.generation_batch([encoded[i] for i in chosen])
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        with torch.inference_mode():
            ids = method.generate(model, batch, **settings)
        # Encoder–decoder output begins with the decoder's start token, decoder-only output with the prompt.
        skip = 1 if encoder.family == "encoder-decoder" else batch["input_ids"].shape[1]
        for i, row in zip(chosen, ids[:, skip:].tolist(), strict=True):
            length = next((n for n, token in enumerate(row) if token in stops), None)
            kept = row[:length]
            text = encoder.tokenizer.decode(kept, skip_special_tokens=True).strip()
            answers[i] = Generation(text, len(kept) + (length is not None), length is not None)
        on_progress(len(answers) / len(encoded))
    return [answers[i] for i in range(len(encoded))]


def loss_per_token(
    model: Any, encoder: Encoder, encoded: Sequence[Encoded], batch_size: int, dtype: Any
) -> list[float]:
    """Cross-entropy per token of the responses in nats, as one value for each of them (`as_mean`)."""
    import torch

    losses, tokens = [0.0] * len(encoded), [0] * len(encoded)
    for chosen in _by_length(encoded, batch_size):
        batch = encoder.training_batch([encoded[i] for i in chosen])
        targets = (batch["labels"] != IGNORED).sum(dim=1).tolist()
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        mixed = dtype != torch.float32
        with torch.inference_mode(), torch.autocast(model.device.type, dtype=dtype, enabled=mixed):
            found = row_losses(model, batch).tolist()
        for i, loss, count in zip(chosen, found, targets, strict=True):
            losses[i], tokens[i] = loss, count
    return as_mean(losses, tokens)


def as_mean(totals: Sequence[float], counts: Sequence[int]) -> list[float]:
    """One value for each example, whose mean is all of `totals` over all of `counts`.

    Their spread is that of this ratio to first order (the delta method), so that they can be resampled like scores.
    """
    ratio, size = sum(totals) / sum(counts), sum(counts) / len(counts)
    return [ratio + (total - ratio * count) / size for total, count in zip(totals, counts, strict=True)]


def summarise(
    examples: Sequence[Example],
    generations: Sequence[Generation],
    generating_seconds: float,
    loss: list[float] | None,
    cut: int,
) -> Evaluation:
    """Score the answers and gather metrics and prediction rows."""
    texts, inputs = [g.text for g in generations], [example.input for example in examples]
    found = Rouge().score(texts, [example.references for example in examples], inputs)
    count = len(examples)
    tokens = sum(g.tokens for g in generations)
    scores = {name: [row[name] for row in found] for name in found[0]}
    if loss is not None:
        scores["heldout_loss"] = loss
    metrics: dict[str, float | None] = {name: math.fsum(values) / count for name, values in scores.items()}
    metrics.update(
        generated_tokens_per_second=tokens / generating_seconds if generating_seconds > 0 else None,
        mean_generated_tokens=tokens / count,
        empty_outputs_percent=100 * sum(not g.text for g in generations) / count,
        unfinished_outputs_percent=100 * sum(not g.finished for g in generations) / count,
        repeated_outputs_percent=100 * sum(map(repeats_itself, texts)) / count,
    )
    rows = [
        {
            "id": example.id,
            "references": list(example.references),
            "prediction": generation.text,
            "tokens": generation.tokens,
            "finished": generation.finished,
            "scores": _rounded(row),
        }
        for example, generation, row in zip(examples, generations, found, strict=True)
    ]
    return Evaluation(metrics, scores, rows, cut)


def with_metric(evaluation: Evaluation, measured: Measured) -> Evaluation:
    """The evaluation with the numbers of another metric in it: as means, as scores and in the rows."""
    found = {name: [row[name] for row in measured.rows] for name in measured.declared}
    means = {name: math.fsum(values) / len(values) for name, values in found.items()}
    return replace(
        evaluation,
        metrics={**evaluation.metrics, **means},
        scores={**evaluation.scores, **found},
        rows=[
            {**old, "scores": {**old["scores"], **_rounded(new)}}
            for old, new in zip(evaluation.rows, measured.rows, strict=True)
        ],
        declared=evaluation.declared | {name: told for name, told in measured.declared.items() if name not in METRICS},
    )


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in row.items()}


def _by_length(encoded: Sequence[Encoded], size: int) -> Iterator[list[int]]:
    """Batches of indices, longest prompts first, so that the largest batch meets memory at once."""
    order = sorted(range(len(encoded)), key=lambda i: (-len(encoded[i].prompt), i))
    for start in range(0, len(order), size):
        yield order[start : start + size]

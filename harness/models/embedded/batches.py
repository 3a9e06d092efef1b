"""Pre-training batches: packed running text for the decoder-only model, questions and gaps for the other one.

Each source yields what a model's `forward` takes, and hashes every text it used, so that the provenance can say
what a model has seen.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import torch

from harness.models.embedded import corpus
from harness.models.embedded.architectures import SENTINELS

IGNORED = -100
ROW = 256
"""Tokens in a row of packed text: most documents fit, and a row costs little."""
LONGEST_TARGET = 128
GAP_SHARE = 0.15
"""Share of rows in which the encoder–decoder model restores gaps (Raffel et al. 2020) and does not answer."""
MASKED, MEAN_SPAN = 0.15, 3

Batch = dict[str, torch.Tensor]


class Source:
    """Batches without end for one architecture; `digest` covers the texts used so far."""

    def __init__(self, architecture: str, tokenizer: Any, seed: int, batch_size: int) -> None:
        self.tokenizer = tokenizer
        self.digest = hashlib.sha256()
        self.tokens = 0
        rows = self._packed(seed) if architecture == "decoder-only" else self._pairs(seed)
        make = self._packed_batch if architecture == "decoder-only" else self._pair_batch
        self._batches = (make([next(rows) for _ in range(batch_size)]) for _ in iter(int, 1))

    def __next__(self) -> Batch:
        return next(self._batches)

    def _note(self, *texts: str) -> None:
        for text in texts:
            self.digest.update(text.encode() + b"\0")

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _packed(self, seed: int) -> Iterator[tuple[list[int], list[int]]]:
        """Rows of documents joined by end tokens; the second list is empty."""
        held: list[int] = []
        for text in corpus.documents(seed):
            self._note(text)
            held += [*self._ids(text), self.tokenizer.eos_token_id]
            while len(held) >= ROW:
                yield held[:ROW], []
                # What is left would begin in the middle of a document, where its questions could not be answered.
                held = []

    def _pairs(self, seed: int) -> Iterator[tuple[list[int], list[int]]]:
        """Encoder input and target: a question and its answer, or a dialogue with gaps and what stood there."""
        dice = random.Random(f"gaps/{seed}")
        end = self.tokenizer.eos_token_id
        for prompt, answer in corpus.pairs(seed):
            self._note(prompt, answer)
            if dice.random() < GAP_SHARE:
                source, target = self._gaps(self._ids(prompt), dice)
            else:
                source, target = self._ids(prompt), self._ids(answer)
            yield [*source, end], [*target[: LONGEST_TARGET - 1], end]

    def _gaps(self, ids: list[int], dice: random.Random) -> tuple[list[int], list[int]]:
        """Replace random spans by sentinels; the target names each sentinel and what it stands for."""
        spans = max(1, min(SENTINELS, round(len(ids) * MASKED / MEAN_SPAN)))
        starts = sorted(dice.sample(range(len(ids)), min(spans, len(ids))))
        source: list[int] = []
        target: list[int] = []
        position = 0
        for number, start in enumerate(starts):
            if start < position:  # inside the gap before
                continue
            mark = self.tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>")
            following = min(start + dice.randint(1, 2 * MEAN_SPAN - 1), len(ids))
            source += [*ids[position:start], mark]
            target += [mark, *ids[start:following]]
            position = following
        return source + ids[position:], target

    def _packed_batch(self, rows: list[tuple[list[int], list[int]]]) -> Batch:
        ids = torch.tensor([row for row, _ in rows])
        self.tokens += ids.numel()
        return {"input_ids": ids, "labels": ids}

    def _pair_batch(self, rows: list[tuple[list[int], list[int]]]) -> Batch:
        self.tokens += sum(len(source) + len(target) for source, target in rows)
        inputs = _padded([source for source, _ in rows], self.tokenizer.pad_token_id)
        return {
            "input_ids": inputs,
            "attention_mask": (inputs != self.tokenizer.pad_token_id).long(),
            "labels": _padded([target for _, target in rows], IGNORED),
        }


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])

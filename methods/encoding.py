"""From a written example to token ids, the same way in training and in evaluation, for both model families.

Completion only: a decoder-only model sees prompt and response in one row and learns the response and its end token;
an encoder–decoder model reads the prompt and learns the response. Only the input text is ever cut: instruction,
target and end token survive. Padding is masked everywhere and stands right in training, left in generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from methods.base import Family, Limits, Text
from methods.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The label that PyTorch's cross-entropy leaves out."""

_MARK = "\ue000"  # private use: stands where the text goes while a chat template is rendered


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example; `response` ends with the end token."""

    prompt: list[int]
    response: list[int]
    cut: bool
    """Whether input or target had to be cut to the limits."""


class Encoder:
    """Encodes and collates texts for one tokenizer and model family."""

    def __init__(self, tokenizer: Any, family: Family, limits: Limits) -> None:
        if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
            raise UnsupportedError("the tokenizer has no pad or no end token; set both in its tokenizer_config.json")
        self.tokenizer = tokenizer
        self.family = family
        self.limits = limits

    def encode(self, text: Text) -> Encoded:
        """Token ids of prompt and response within the limits. Raises `UnsupportedError` if no room is left at all."""
        before, after, special = self._frame(text)

        def prompt_of(length: int) -> list[int]:
            return self._tokens(before + text.input[:length] + after, special)

        prompt, limit = prompt_of(len(text.input)), self.limits.input_tokens
        cut = len(prompt) > limit
        if cut:
            prompt = prompt_of(_longest(lambda length: len(prompt_of(length)) <= limit, len(text.input)))
            if len(prompt) > limit:
                raise UnsupportedError(f"the instruction alone is {len(prompt)} tokens; the input limit is {limit}")
        end = self.end_tokens(text.chat)
        response = self.tokenizer(text.response, add_special_tokens=False)["input_ids"]
        room = self.limits.target_tokens - len(end)
        return Encoded(prompt, response[:room] + end, cut or len(response) > room)

    def end_tokens(self, chat: bool) -> list[int]:
        """Ids that end a response: what the chat template writes after an answer, else the tokenizer's end token."""
        return (self._chat_end if chat else None) or [self.tokenizer.eos_token_id]

    def stop_tokens(self) -> list[int]:
        """Ids that end generation."""
        return sorted({self.tokenizer.eos_token_id, self.end_tokens(True)[-1]})

    def training_batch(self, batch: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`, `labels`, each (batch, longest), right-padded; prompts carry no loss."""
        pad = self.tokenizer.pad_token_id
        if self.family == "encoder-decoder":
            inputs = [item.prompt for item in batch]
            labels = [item.response for item in batch]
        else:
            inputs = [item.prompt + item.response for item in batch]
            labels = [[IGNORED] * len(item.prompt) + item.response for item in batch]
        return {
            "input_ids": _padded(inputs, pad),
            "attention_mask": _padded([[1] * len(row) for row in inputs], 0),
            "labels": _padded(labels, IGNORED),
        }

    def generation_batch(self, batch: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, each (batch, longest); left-padded for decoder-only models."""
        left = self.family == "decoder-only"
        inputs = [item.prompt for item in batch]
        return {
            "input_ids": _padded(inputs, self.tokenizer.pad_token_id, left),
            "attention_mask": _padded([[1] * len(row) for row in inputs], 0, left),
        }

    def _frame(self, text: Text) -> tuple[str, str, bool]:
        """What stands before and after the input, and whether the tokenizer still has to add special tokens."""
        if not (text.chat and self.tokenizer.chat_template):
            return text.before, text.after, True
        turn = [{"role": "user", "content": text.before + _MARK + text.after}]
        rendered = self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        before, after = rendered.split(_MARK)
        return before, after, False

    @cached_property
    def _chat_end(self) -> list[int]:
        if not self.tokenizer.chat_template:
            return []
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        rendered = self.tokenizer.apply_chat_template(turns, tokenize=False)
        return self.tokenizer(rendered.split(_MARK)[1].strip(), add_special_tokens=False)["input_ids"]

    def _tokens(self, prompt: str, special: bool) -> list[int]:
        ids = self.tokenizer(prompt, add_special_tokens=special)["input_ids"]
        # Some tokenizers end every text with their end token; a decoder-only model must go on from the prompt.
        if self.family == "decoder-only" and ids and ids[-1] == self.tokenizer.eos_token_id and special:
            return ids[:-1]
        return ids


def _longest(fits: Any, upper: int) -> int:
    """Largest length in 0..upper that fits, by bisection; 0 if none does."""
    low, high = 0, upper
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _padded(rows: Sequence[Sequence[int]], value: int, left: bool = False) -> torch.Tensor:
    import torch

    width = max(len(row) for row in rows)
    fill = [[value] * (width - len(row)) for row in rows]
    return torch.tensor([[*gap, *row] if left else [*row, *gap] for row, gap in zip(rows, fill, strict=True)])

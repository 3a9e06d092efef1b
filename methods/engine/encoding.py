"""Turns texts into token ids, the same way in training and in evaluation, for both model families.

The loss is on the response only. A decoder-only model gets prompt and response in one row and learns the response with
its end token; an encoder–decoder model reads the prompt and learns the response. A prompt that is too long loses the
end of its input text, never its instruction. Padding is masked; it is on the right in training and, for decoder-only
models, on the left in generation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from methods.engine.texts import compile_control_tokens, encode_targets, encode_texts, find_target_frame
from methods.errors import UnsupportedError
from methods.types import Family, Limits, Text

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The label that PyTorch's cross-entropy ignores."""

LENGTH_MULTIPLE = 16
"""Training batches are padded to a multiple of this. Tensor cores need a multiple of 8; on a CPU PyTorch compiles a
kernel for every new shape in bfloat16, which takes time and memory (docs/measurements.md)."""

_MARK = "\ue000"  # private-use character: a placeholder for the text while a chat template is rendered


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example; `response` ends with the end token, and begins as the tokenizer begins targets."""

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
        self._frames: dict[tuple[str, str], tuple[str, str]] = {}

    def encode(self, text: Text) -> Encoded:
        """Token ids of one text; see `encode_all`."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[Text]) -> list[Encoded]:
        """Token ids of prompts and responses within the limits, with one call of the tokenizer, which is faster.

        Raises `UnsupportedError` if an instruction leaves no room for any input.
        """
        framed = {self._framed(text) for text in texts}
        if len(framed) != 1:  # no text, or texts with and without the chat template
            return [encoded for text in texts for encoded in self.encode_all([text])]
        frames = [self._frame(text) for text in texts]
        whole = [(before, text.input, after) for text, (before, after) in zip(texts, frames, strict=True)]
        prompts = self._prompts(whole, special=not framed.pop())
        responses = self._responses([text.response for text in texts])
        return [
            self._within_limits(text, frame, prompt, response)
            for text, frame, prompt, response in zip(texts, frames, prompts, responses, strict=True)
        ]

    def end_tokens(self, chat: bool) -> list[int]:
        """Ids that end a response: what the chat template writes after an answer, else the tokenizer's end token."""
        return (self._chat_end if chat else None) or self._target_frame[1]

    def stop_tokens(self) -> list[int]:
        """Ids that end generation."""
        return sorted({self.tokenizer.eos_token_id, self.end_tokens(True)[-1], self._target_frame[1][0]})

    def training_batch(self, batch: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`, `labels`, each (batch, length), right-padded; prompts carry no loss.

        The length is that of the longest row, rounded up to `LENGTH_MULTIPLE` within the limits.
        """
        pad = self.tokenizer.pad_token_id
        separate = self.family == "encoder-decoder"
        if separate:
            inputs = [item.prompt for item in batch]
            labels = [item.response for item in batch]
            most = self.limits.input_tokens
        else:
            inputs = [item.prompt + item.response for item in batch]
            labels = [[IGNORED] * len(item.prompt) + item.response for item in batch]
            most = self.limits.input_tokens + self.limits.target_tokens
        width = _round_width(inputs, most)
        return {
            "input_ids": _pad(inputs, pad, width),
            "attention_mask": _pad([[1] * len(row) for row in inputs], 0, width),
            "labels": _pad(labels, IGNORED, _round_width(labels, self.limits.target_tokens) if separate else width),
        }

    def generation_batch(self, batch: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, each (batch, longest); left-padded for decoder-only models."""
        left = self.family == "decoder-only"
        inputs = [item.prompt for item in batch]
        width = max(map(len, inputs))
        return {
            "input_ids": _pad(inputs, self.tokenizer.pad_token_id, width, left),
            "attention_mask": _pad([[1] * len(row) for row in inputs], 0, width, left),
        }

    def _within_limits(self, text: Text, frame: tuple[str, str], prompt: list[int], response: list[int]) -> Encoded:
        limit = self.limits.input_tokens
        cut = len(prompt) > limit
        if cut:
            before, after = frame

            def shortened(length: int) -> list[int]:
                return self._prompts([(before, text.input[:length], after)], special=not self._framed(text))[0]

            prompt = shortened(_find_longest(lambda length: len(shortened(length)) <= limit, len(text.input)))
            if len(prompt) > limit:
                raise UnsupportedError(f"the instruction alone is {len(prompt)} tokens; the input limit is {limit}")
        begin, end = self._target_frame[0], self.end_tokens(text.chat)
        room = self.limits.target_tokens - len(begin) - len(end)
        return Encoded(prompt, begin + response[:room] + end, cut or len(response) > room)

    def _framed(self, text: Text) -> bool:
        """Whether the chat template frames this text; it then brings its own special tokens."""
        return bool(text.chat and self.tokenizer.chat_template)

    def _frame(self, text: Text) -> tuple[str, str]:
        """The finished prompt before and after the input text."""
        if not self._framed(text):
            return text.before, text.after
        key = (text.before, text.after)
        if key not in self._frames:
            turn = [{"role": "user", "content": text.before + _MARK + text.after}]
            rendered = self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
            before, after = rendered.split(_MARK)
            self._frames[key] = (before, after)
        return self._frames[key]

    @cached_property
    def _target_frame(self) -> tuple[list[int], list[int]]:
        """Token ids before and after every response that no chat template ends."""
        if self.family == "encoder-decoder":
            return find_target_frame(self.tokenizer)
        return [], [self.tokenizer.eos_token_id]

    def _responses(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of responses without special tokens."""
        encode = encode_targets if self.family == "encoder-decoder" else encode_texts
        return encode(self.tokenizer, texts, literal=self._control.search("\n".join(texts)) is not None)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """Finds control tokens that stand in a text, such as `</s>`: they are text there, and not control."""
        return compile_control_tokens(self.tokenizer)

    @cached_property
    def _chat_end(self) -> list[int]:
        if not self.tokenizer.chat_template:
            return []
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        rendered = self.tokenizer.apply_chat_template(turns, tokenize=False)
        ids: list[int] = self.tokenizer(rendered.split(_MARK)[1].strip(), add_special_tokens=False)["input_ids"]
        return ids

    def _prompts(self, prompts: Sequence[tuple[str, str, str]], *, special: bool) -> list[list[int]]:
        """Token ids of whole prompts, given as texts before the input, input, and texts after it.

        `special` says whether the tokenizer has to add its special tokens: a chat template writes them itself.
        """
        whole = ["".join(parts) for parts in prompts]
        if special:
            literal = self._control.search("\n".join(whole)) is not None
            rows = encode_texts(self.tokenizer, whole, special=True, literal=literal)
        elif any(self._control.search(text) for _, text, _ in prompts):
            rows = [self._encode_literal_input(parts) for parts in prompts]
        else:
            rows = encode_texts(self.tokenizer, whole)
        # Some tokenizers end every text with their end token; a decoder-only model must go on from the prompt.
        if special and self.family == "decoder-only":
            return [row[:-1] if row and row[-1] == self.tokenizer.eos_token_id else row for row in rows]
        return rows

    def _encode_literal_input(self, parts: tuple[str, str, str]) -> list[int]:
        """Token ids of one prompt in a chat template, whose control tokens are control, and those of the input text."""
        before, text, after = parts
        if not self._control.search(text):
            return encode_texts(self.tokenizer, [before + text + after])[0]
        start, end = encode_texts(self.tokenizer, [before, after])
        return [*start, *encode_texts(self.tokenizer, [text], literal=True)[0], *end]


def _find_longest(fits: Any, upper: int) -> int:
    """Find the largest length from 0 to `upper` that fits, by bisection; 0 if none does."""
    low, high = 0, upper
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _round_width(rows: Sequence[Sequence[int]], most: int) -> int:
    """Length of the longest row, rounded up to `LENGTH_MULTIPLE` but not beyond `most`."""
    longest = max(map(len, rows))
    return max(longest, min(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, most))


def _pad(rows: Sequence[Sequence[int]], value: int, width: int, left: bool = False) -> torch.Tensor:
    import torch

    fill = [[value] * (width - len(row)) for row in rows]
    return torch.tensor([[*gap, *row] if left else [*row, *gap] for row, gap in zip(rows, fill, strict=True)])

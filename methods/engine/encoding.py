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

from methods.engine.chat_template import ChatTemplate, read_chat_template
from methods.engine.stopping import Stops
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


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example; `response` ends with the end token, and begins as the tokenizer begins targets."""

    prompt: list[int]
    response: list[int]
    cut: bool
    """Whether input or target had to be cut to the limits."""
    chat: bool = False
    """Whether prompt and end are those of the tokenizer's chat template."""


class Encoder:
    """Encodes and collates texts for one tokenizer and model family."""

    def __init__(self, tokenizer: Any, family: Family, limits: Limits) -> None:
        if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
            raise UnsupportedError("the tokenizer has no pad or no end token; set both in its tokenizer_config.json")
        self.tokenizer = tokenizer
        self.family = family
        self.limits = limits

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
        prompts = self._prompts([self._write_prompt(text) for text in texts], special=not framed.pop())
        responses = self._responses([text.response for text in texts])
        return [
            self._within_limits(text, prompt, response)
            for text, prompt, response in zip(texts, prompts, responses, strict=True)
        ]

    def end_tokens(self, chat: bool) -> list[int]:
        """Ids that end a response in training: the chat template's end of an answer, else the tokenizer's end token."""
        ids = list(self._template.end.ids) if chat and self._template else []
        # An end in many pieces may leave no room for the response.
        return ids if len(ids) == 1 or 1 < len(ids) < self.limits.target_tokens else self._target_frame[1]

    def find_stops(self, model: Any, chat: bool) -> Stops:
        """What ends generation: the end tokens of the tokenizer and of the model's generation config, and with `chat`
        what ends an answer in the chat template."""
        named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
        tokens = {self.tokenizer.eos_token_id, self._target_frame[1][0]}
        tokens.update([named] if isinstance(named, int) else named or ())
        if not chat or self._template is None:
            return Stops(tuple(sorted(tokens)))
        end = self._template.end
        tokens.update(() if end.token is None else (end.token,))
        return Stops(tuple(sorted(tokens)), (end.text,) if end.text else ())

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

    def _within_limits(self, text: Text, prompt: list[int], response: list[int]) -> Encoded:
        limit = self.limits.input_tokens
        cut = len(prompt) > limit
        if cut:

            def shortened(length: int) -> list[int]:
                return self._prompts([self._write_prompt(text, length)], special=not self._framed(text))[0]

            prompt = shortened(_find_longest(lambda length: len(shortened(length)) <= limit, len(text.input)))
            if len(prompt) > limit:
                raise UnsupportedError(f"the instruction alone is {len(prompt)} tokens; the input limit is {limit}")
        begin, end = self._target_frame[0], self.end_tokens(text.chat)
        room = self.limits.target_tokens - len(begin) - len(end)
        return Encoded(prompt, begin + response[:room] + end, cut or len(response) > room, self._framed(text))

    def _framed(self, text: Text) -> bool:
        """Whether the chat template frames this text; it then brings its own special tokens."""
        return bool(text.chat and self._template)

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
    def _template(self) -> ChatTemplate | None:
        """Read when a text needs it: one that is written without it shall not fail because of it."""
        return read_chat_template(self.tokenizer)

    def _write_prompt(self, text: Text, length: int | None = None) -> tuple[str, ...]:
        """The finished prompt with the first `length` characters of the input: in turn what the chat template writes,
        which may be nothing, and what it was given."""
        content = text.before + text.input[:length] + text.after
        return self._template.write_prompt(content) if text.chat and self._template else ("", content, "")

    def _prompts(self, prompts: Sequence[tuple[str, ...]], *, special: bool) -> list[list[int]]:
        """Token ids of whole prompts, as `_write_prompt` gives them.

        `special` says whether the tokenizer has to add its special tokens: a chat template writes them itself.
        """
        whole = ["".join(parts) for parts in prompts]
        if special:
            literal = self._control.search("\n".join(whole)) is not None
            rows = encode_texts(self.tokenizer, whole, special=True, literal=literal)
        elif any(self._control.search(text) for parts in prompts for text in parts[1::2]):
            rows = [self._encode_literal_content(parts) for parts in prompts]
        else:
            rows = encode_texts(self.tokenizer, whole)
        # Some tokenizers end every text with their end token; a decoder-only model must go on from the prompt.
        if special and self.family == "decoder-only":
            return [row[:-1] if row and row[-1] == self.tokenizer.eos_token_id else row for row in rows]
        return rows

    def _encode_literal_content(self, parts: tuple[str, ...]) -> list[int]:
        """Token ids of one prompt in a chat template: the template's control tokens are control, all others text."""
        if not any(self._control.search(text) for text in parts[1::2]):
            return encode_texts(self.tokenizer, ["".join(parts)])[0]
        rows = [encode_texts(self.tokenizer, [text], literal=n % 2 == 1)[0] for n, text in enumerate(parts) if text]
        return [token for row in rows for token in row]


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

"""Where generation stops, and what of the generated tokens is the answer.

A token stops at once; a text stops as a whole, however it is divided into tokens, and is no part of the answer.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What one row of generated tokens says."""

    text: str
    """Without the end, special tokens, and white space around it."""
    tokens: int
    """Number of generated tokens: the end counts, padding does not."""
    ended: bool
    """Whether there is an end."""


@dataclass(frozen=True)
class Stops:
    """What ends a generated answer."""

    tokens: tuple[int, ...]
    texts: tuple[str, ...] = ()

    def make_settings(self, tokenizer: Any) -> dict[str, Any]:
        """Make the arguments of one call of `generate` that let each row stop."""
        settings: dict[str, Any] = {"eos_token_id": list(self.tokens)}
        if self.texts:
            from transformers import StoppingCriteriaList

            settings["stopping_criteria"] = StoppingCriteriaList([_TextCriterion(tokenizer, self.texts)])
        return settings

    def read_answer(self, tokenizer: Any, row: Sequence[int]) -> Answer:
        """Read the answer of a row of generated ids; what follows on its end does not count."""
        length = next((n for n, token in enumerate(row) if token in self.tokens), None)
        kept = list(row[:length])
        text = tokenizer.decode(kept, skip_special_tokens=True)
        if any(stop in text for stop in self.texts):
            count = bisect.bisect_left(range(len(kept)), True, key=lambda n: self._contains_end(tokenizer, kept[:n]))
            text = tokenizer.decode(kept[:count], skip_special_tokens=True)
            return Answer(text[: min(text.find(stop) for stop in self.texts if stop in text)].strip(), count, True)
        return Answer(text.strip(), len(kept) + (length is not None), length is not None)

    def _contains_end(self, tokenizer: Any, ids: Sequence[int]) -> bool:
        text = tokenizer.decode(ids, skip_special_tokens=True)
        return any(stop in text for stop in self.texts)


class _TextCriterion:
    """A stopping criterion of Transformers for texts. It sees one call of `generate`: the first token tells where the
    prompt ends, which is not among the ids where a method gives embeddings."""

    def __init__(self, tokenizer: Any, texts: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._texts = texts
        # Each token stands for one byte at least. Some more are for tokens that are left out of the text.
        self._most = max(len(text.encode()) for text in texts) + 8
        self._start: int | None = None

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        if self._start is None:
            self._start = ids.shape[1] - 1
        rows = self._tokenizer.batch_decode(ids[:, max(self._start, ids.shape[1] - self._most) :], True)
        return torch.tensor([any(text in row for text in self._texts) for row in rows], device=ids.device)

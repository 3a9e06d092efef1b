"""From texts to token ids: what a tokenizer makes of a text, of a target, and of control tokens that stand in them.

A target gets the special tokens that the tokenizer writes around it: BART learns `<s> … </s>`, T5 `… </s>`, models of
several languages the mark of the language too. A model that never saw its targets without them must not be asked to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_PROBE = "a"
"""Any text that is at least one token."""


def encode_texts(
    tokenizer: Any, texts: Sequence[str], *, special: bool = False, literal: bool = False
) -> list[list[int]]:
    """Token ids of texts. `special` adds the tokenizer's own special tokens; with `literal`, those in a text are text.

    `literal` changes nothing where no control token stands in a text, and costs time.
    """
    more = {"split_special_tokens": True} if literal else {}
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=special, **more)["input_ids"]
    return ids


def encode_targets(tokenizer: Any, texts: Sequence[str], *, literal: bool = False) -> list[list[int]]:
    """Token ids of targets without special tokens. Some tokenizers (Marian's) have a vocabulary for targets alone."""
    more = {"split_special_tokens": True} if literal else {}
    ids: list[list[int]] = tokenizer(text_target=list(texts), add_special_tokens=False, **more)["input_ids"]
    return ids


def find_target_frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids that stand before and after every target: `([], [end])` for T5, `([begin], [end])` for BART.

    Where the tokenizer writes nothing after a target, it is the end token: an answer has to end.
    """
    bare = encode_targets(tokenizer, [_PROBE])[0]
    whole: list[int] = tokenizer(text_target=[_PROBE])["input_ids"][0]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :] or [tokenizer.eos_token_id]
    return [], [tokenizer.eos_token_id]


def compile_control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """A pattern that finds the tokenizer's control tokens in a text."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    words = {*map(str, tokenizer.all_special_tokens), *(str(token) for token in added if token.special)}
    return re.compile("|".join(map(re.escape, sorted(filter(None, words), key=len, reverse=True))) or r"(?!)")

"""What ends an assistant's answer in a chat template: a special token, ordinary text, or nothing of its own.

Training teaches this end, and generation stops at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from methods.errors import UnsupportedError

LEAST_CHARACTERS = 3
"""A shorter text ends no answer: a full stop or a quotation mark would stop many answers early."""

Message = tuple[str, str]
"""(role, text)."""


@dataclass(frozen=True)
class AnswerEnd:
    """The end of an answer. Where it is neither token nor text, the tokenizer's end token is all that there is."""

    token: int | None = None
    """The first special token that the template writes after an answer."""
    text: str | None = None
    """Ordinary text that ends an answer, and is no part of it."""
    ids: tuple[int, ...] = ()
    """What training teaches after an answer; empty for the tokenizer's end token."""
    note: str | None = None
    """A sentence on an end that is unusual."""


def find_answer_end(tokenizer: Any, write: Callable[..., str], probes: tuple[str, str]) -> AnswerEnd:
    """Find what ends an answer.

    `write` renders messages, with the beginning of an answer if `prompt` is true. `probes` are two texts with no
    character in common at either end.
    """
    after, opening = _find_text_after(write, probes)
    before, token = _split_at_special_token(tokenizer, after)
    lines = [line.strip() for line in before.splitlines() if line.strip()]
    if opening:
        return _end_with_next_turn(tokenizer, before, lines, token)
    if lines and len(lines[0]) >= LEAST_CHARACTERS:
        return _end_with_text(tokenizer, lines[0], token)
    if token is not None:
        return AnswerEnd(token, ids=(token,))
    what = f"ends an answer with {lines[0]!r}, too short to stop at" if lines else "has no end of an answer"
    return AnswerEnd(note=f"the chat template {what}; training teaches the end token alone")


def _end_with_text(tokenizer: Any, text: str, token: int | None) -> AnswerEnd:
    said = f"the chat template ends an answer with {text!r}, which is not a token"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if text not in tokenizer.decode(ids, skip_special_tokens=True):
        return AnswerEnd(token, text, note=f"{said} and cannot be written; training teaches the end token alone")
    return AnswerEnd(token, text, tuple(ids), note=f"{said}; generation stops at the whole text")


def _end_with_next_turn(tokenizer: Any, before: str, lines: Sequence[str], token: int | None) -> AnswerEnd:
    """The end where only the mark of the next turn follows on an answer: as text it stops, but is not taught."""
    said = "the chat template has no end of an answer"
    if not lines and token is not None and token != tokenizer.bos_token_id:
        name = tokenizer.convert_ids_to_tokens(token)
        return AnswerEnd(token, ids=(token,), note=f"{said}; {name}, which begins the next turn, is taught as the end")
    text = ("\n" if "\n" in before[: before.index(lines[0])] else "") + lines[0] if lines else ""
    if len(text) >= LEAST_CHARACTERS:
        said = f"{said}; training teaches the end token, and {text.strip()!r}, which begins the next turn, stops too"
        return AnswerEnd(text=text, note=said)
    return AnswerEnd(note=f"{said}; training teaches the end token alone")


def _find_text_after(write: Callable[..., str], probes: tuple[str, str]) -> tuple[str, bool]:
    """Find (what the template writes after an answer, whether it only begins the next turn)."""
    question = ("user", probes[0])

    def write_after(*turns: Message) -> str:
        """What follows on the answer, whatever the answer is."""
        first, second = (write([question, ("assistant", answer), *turns]) for answer in probes)
        return "" if first == second else find_common_end(first, second)

    try:
        last = write_after()
        # Some begin the next answer whatever they are asked for.
        begins = write([question]) == write([question], prompt=True) and write([question]).endswith(probes[0] + last)
        if last.strip() and not begins:
            return last, False
        # Some write the end between two turns only.
        between = find_common_start(*(write_after(("user", text)) for text in probes))
        opening = find_common_start(*(write([("user", text)]) for text in probes))
    except UnsupportedError:  # it takes no such turns
        return "", False
    mark = find_common_end(between.rstrip(), opening.rstrip())
    return between, not between.rstrip().removesuffix(mark).strip()


def _split_at_special_token(tokenizer: Any, text: str) -> tuple[str, int | None]:
    """Split a text at its first special token: (the text before it, its id); (the text, None) if there is none."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values()]
    names = {name for name in (*tokenizer.all_special_tokens, *added) if name.strip() and name != tokenizer.unk_token}
    found = [(text.index(name), -len(name), name) for name in names if name in text]
    if not found:
        return text, None
    at, _, name = min(found)
    return text[:at], int(tokenizer.convert_tokens_to_ids(name))


def find_common_start(first: str, second: str) -> str:
    """Find the longest text with which both begin."""
    differing = (n for n, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    return first[: next(differing, min(len(first), len(second)))]


def find_common_end(first: str, second: str) -> str:
    """Find the longest text with which both end."""
    return find_common_start(first[::-1], second[::-1])[::-1]

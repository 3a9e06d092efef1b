"""The chat template of a tokenizer: how it writes a prompt, what ends an assistant's answer, and which date it sees.

A template is a program of the model's makers: it may trim what it is given or write it twice, want a list of parts or a
system turn, or refuse. So texts are always rendered whole, and what it writes around a text is found by rendering two
texts that have no character in common at either end.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from methods.engine.answer_end import AnswerEnd, Message, find_answer_end, find_common_end, find_common_start
from methods.errors import UnsupportedError, describe_error

USUAL_SYSTEM_TEXT = "You are a helpful assistant."
"""For templates that refuse chats without a system turn, and an empty one too."""
PROBES = ("Kiwi5", "Lemon8")
"""Texts that have no character in common at either end, whatever the case."""
_DATES = ("2001-02-03", "2016-11-25")
"""Two dates that no format writes alike."""
_DATE_ATTRIBUTE = "chat_template_date"


@dataclass(frozen=True)
class ChatTemplate:
    """A template that can write what it is asked for. `read_chat_template` makes it."""

    tokenizer: Any
    parts: bool
    """Whether it wants a text as a list of parts."""
    system: str | None
    """The system turn without which it refuses; `None` for the usual ones, which get none."""
    around: tuple[str, str]
    """What it writes before and after a user's text that stands in the prompt once and as it is."""
    end: AnswerEnd
    """What ends an assistant's answer."""

    def write_prompt(self, text: str) -> tuple[str, ...]:
        """Write a user's text as a prompt for an answer: in turn what the template writes and the text, as
        `re.split` would return it; only the whole if the text is not found in it.

        Raises `UnsupportedError` if the template refuses the text.
        """
        made = _render(self.tokenizer, [("user", text)], self.parts, self.system, prompt=True)
        forms = [form for form in (text, text.strip()) if form]
        before, after = self.around
        for form in forms:
            if made == before + form + after:
                return before, form, after
        found = next((form for form in forms if form in made), None)
        return tuple(re.split(f"({re.escape(found)})", made)) if found else (made,)

    def write_chat(self, prompt: str, answer: str) -> str:
        """Write a user's text and its answer. Raises `UnsupportedError` if the template refuses them."""
        return _render(self.tokenizer, [("user", prompt), ("assistant", answer)], self.parts, self.system)

    @property
    def shows_date(self) -> bool:
        """Whether what it writes depends on the date."""
        source = self.tokenizer.get_chat_template()
        if "strftime_now" not in source:
            return False
        chat = [("user", PROBES[0]), ("assistant", PROBES[0]), ("user", PROBES[1])]

        def write(date: str) -> str:
            return _render(self.tokenizer, chat, self.parts, self.system, prompt=True, date=date)

        return write(_DATES[0]) != write(_DATES[1])


def set_date(tokenizer: Any, date: str | None) -> None:
    """Fix the date (ISO format) that this tokenizer's chat template sees; it sees midnight. `None` is the real time.

    Only `ChatTemplate` heeds it. The template itself stays as it is, and is saved as it is.
    """
    setattr(tokenizer, _DATE_ATTRIBUTE, date)


def read_chat_template(tokenizer: Any) -> ChatTemplate | None:
    """Find out how to use a tokenizer's chat template; `None` where it has none.

    Raises `UnsupportedError` with the template's own reason if it can write no prompt.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    parts, system = _choose_way(tokenizer)
    write = functools.partial(_render, tokenizer, parts=parts, system=system)
    first, second = (write([("user", text)], prompt=True) for text in PROBES)
    around = find_common_start(first, second), find_common_end(first, second)
    return ChatTemplate(tokenizer, parts, system, around, find_answer_end(tokenizer, write, PROBES))


def _choose_way(tokenizer: Any) -> tuple[bool, str | None]:
    """Find (whether it wants parts, the system turn that it needs): the first way that shows the user's text.

    A template may leave out what it is given in another form, so that its silence proves nothing.
    """
    shown: list[tuple[bool, str | None]] = []
    refusal: UnsupportedError | None = None
    for system in (None, "", USUAL_SYSTEM_TEXT):
        for parts in (False, True):
            try:
                first, second = (_render(tokenizer, [("user", text)], parts, system, prompt=True) for text in PROBES)
            except UnsupportedError as error:
                refusal = refusal or error
                continue
            if parts and re.search("[\"']type[\"']: *[\"']text[\"']", first):  # it writes the list itself
                continue
            if PROBES[0] in first and PROBES[1] in second:
                return parts, system
            if first != second:
                shown.append((parts, system))
    if shown:  # the template changes the text, such as to upper case
        return shown[0]
    raise refusal or UnsupportedError("the chat template leaves the user's text out, so that no prompt can be written")


def _render(
    tokenizer: Any,
    messages: Sequence[Message],
    parts: bool,
    system: str | None,
    *,
    prompt: bool = False,
    date: str | None = None,
) -> str:
    """Render messages, with the beginning of an answer if it is a prompt. Raises `UnsupportedError`."""
    turns = messages if system is None else [("system", system), *messages]
    chat = [{"role": role, "content": [{"type": "text", "text": text}] if parts else text} for role, text in turns]
    date = date or getattr(tokenizer, _DATE_ATTRIBUTE, None)
    try:
        source = tokenizer.get_chat_template()
        dated = {"chat_template": _write_clock(date) + source} if date and "strftime_now" in source else {}
        made = tokenizer.apply_chat_template(chat, add_generation_prompt=prompt, tokenize=False, **dated)
    except Exception as error:  # the program of someone else, which may raise anything
        raise UnsupportedError(f"the chat template cannot write a prompt: {describe_error(error, 200)}") from error
    return str(made)


@functools.cache
def _write_clock(date: str) -> str:
    """Write a macro that takes the place of `strftime_now`, for the beginning of a template.

    Transformers gives templates a clock that cannot be set, and no other functions. The line ends here, so that the
    template begins at the start of a line, as it does without the macro.
    """
    midnight = datetime.datetime.combine(datetime.date.fromisoformat(date), datetime.time())
    filters = "".join(
        f" | replace({json.dumps(directive)}, {json.dumps(value)})"
        for flag in ("", "-")
        for letter in string.ascii_letters
        if (value := _format(midnight, directive := f"%{flag}{letter}")) is not None
    )
    body = "{% for piece in format.split('%%') %}{{ '' if loop.first else '%' }}{{ piece" + filters + " }}{% endfor %}"
    return "{% macro strftime_now(format) %}" + body + "{% endmacro %}\n"


def _format(moment: datetime.datetime, directive: str) -> str | None:
    """What a directive stands for; `None` where the platform does not know it."""
    try:
        value = moment.strftime(directive)
    except ValueError:
        return None
    return None if value == directive else value

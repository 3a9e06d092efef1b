"""Damages reference texts in known ways, to make rejected responses. Pure functions of a text and a random generator.

Each returns the damaged text, or None if this damage is not possible for this text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import regex

from methods.types import Example

_SPEAKER = re.compile(r"#\w+#")
_NAME = regex.compile(r"(?<=[\p{Ll},;] )\p{Lu}\w+|\d[\d.:,]*\d|\d")
"""A capitalised word within a sentence, or a number. Used for texts without known facts."""

Damage: TypeAlias = "Callable[[Example, Sequence[Example], random.Random], str | None]"


def cut_short(example: Example, others: Sequence[Example], dice: random.Random) -> str | None:
    """Keep the first third to two thirds of the words; of the characters, in a script without blanks."""
    words, blank = _split(example.target, 3)
    if len(words) < 3:
        return None
    return blank.join(words[: max(1, round(len(words) * dice.uniform(1 / 3, 2 / 3)))])


def repeat_end(example: Example, others: Sequence[Example], dice: random.Random) -> str | None:
    """Repeat the second half of the text."""
    words, blank = _split(example.target, 2)
    return blank.join([*words, *words[len(words) // 2 :]])


def take_other_answer(example: Example, others: Sequence[Example], dice: random.Random) -> str | None:
    """Take the reference of another input."""
    return dice.choice(others).target if others else None


def swap_names(example: Example, others: Sequence[Example], dice: random.Random) -> str | None:
    """Swap two speakers, or two names or numbers if no speakers are marked."""
    found = sorted(set(_SPEAKER.findall(example.target))) or _find_names_or_numbers(example.target)
    if len(found) == 1 and (absent := sorted(set(_SPEAKER.findall(example.input)) - set(found))):
        return _replace_words(example.target, {found[0]: dice.choice(absent)})
    if len(found) < 2:
        return None
    first, second = dice.sample(found, 2)
    one, two = re.escape(first), re.escape(second)
    if re.search(rf"{one},? (and|or) {two}|{two},? (and|or) {one}", example.target):
        return None  # "Anna and Ben met" would stay true
    return _replace_words(example.target, {first: second, second: first})


def replace_fact(example: Example, others: Sequence[Example], dice: random.Random) -> str | None:
    """Replace one fact by its value in another example, or a name or number if no facts are known."""
    choices = _list_fact_replacements(example, others) or _list_name_replacements(example, others)
    if not choices:
        return None
    value, instead = dice.choice(choices)
    return _replace_words(example.target, {value: instead})


DAMAGES: Mapping[str, Damage] = {
    "fact": replace_fact,
    "swapped": swap_names,
    "other": take_other_answer,
    "cut": cut_short,
    "repeated": repeat_end,
}
"""Name of a damage → its function."""


def _split(text: str, least: int) -> tuple[list[str], str]:
    """The words of a text and what stands between them; its characters if it has fewer words, as in Chinese or Thai."""
    words = text.split()
    if len(words) >= least or text.isascii():
        return words, " "
    return regex.findall(r"\X", text), ""


def _replace_words(text: str, changes: Mapping[str, str]) -> str:
    """Replace whole words, all at once; the 2 in 25 is not a word."""
    words = "|".join(re.escape(word) for word in changes)
    return re.sub(rf"(?<!\w)({words})(?!\w)", lambda match: changes[match[0]], text)


def _list_fact_replacements(example: Example, others: Sequence[Example]) -> list[tuple[str, str]]:
    """List (value, another value of the same fact) for every fact that can be replaced."""
    return [
        (value, instead)
        for name, value in example.facts
        if value in example.target and not _SPEAKER.fullmatch(value)
        for instead in sorted({v for o in others for n, v in o.facts if n == name and v not in example.target})
    ]


def _list_name_replacements(example: Example, others: Sequence[Example]) -> list[tuple[str, str]]:
    theirs = sorted({found for o in others for found in _NAME.findall(o.target)} - set(_NAME.findall(example.target)))
    return [
        (value, instead)
        for value in sorted(set(_NAME.findall(example.target)))
        for instead in theirs
        if value[0].isdigit() == instead[0].isdigit()
    ]


def _find_names_or_numbers(text: str) -> list[str]:
    """Find the names in a text, or its numbers if it has fewer than two names."""
    found = sorted(set(_NAME.findall(text)))
    names, numbers = [f for f in found if not f[0].isdigit()], [f for f in found if f[0].isdigit()]
    return names if len(names) > 1 else numbers

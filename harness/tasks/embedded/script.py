"""How a scenario is written down: plain data in a small script language, read into turns.

A script is text, one turn a line. `A:` and `B:` say who speaks, a line that starts with neither goes on with the
turn above, `?` before the speaker makes a turn optional, and a lone `~` marks where small talk may come in. `{slot}`
is filled with a value and `[this|that]` with one of the alternatives. Summaries use the same marks; there `{A}` and
`{B}` are the speakers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

SMALL_TALK = "~"

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")

Derive = Callable[[Mapping[str, str]], str]
"""Works a value out from the others: what a reader must infer, because nobody says it."""


@dataclass(frozen=True)
class Outcome:
    """One way in which a scenario can go, with the phrasings of its summary; all use the same slots."""

    name: str
    script: str
    summaries: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """An everyday situation between A and B.

    `roles` says what A and B are, `slots` maps each slot to the vocabulary of its values, `derived` holds the
    slots that are worked out. Slots of one vocabulary never get the same value in one dialogue.
    """

    name: str
    roles: tuple[str, str]
    register: Literal["service", "friends"]
    slots: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    derived: Mapping[str, Derive] = field(default_factory=dict)


class Line(NamedTuple):
    """One line of a script: who speaks, what, and whether the turn may be left out."""

    speaker: str
    text: str
    optional: bool = False


def read_script(script: str) -> list[Line]:
    """Lines of a script in order; small talk is a line whose speaker is `~`."""
    lines: list[Line] = []
    for raw in script.strip().splitlines():
        row = raw.strip()
        if row == SMALL_TALK:
            lines.append(Line(SMALL_TALK, ""))
        elif row.lstrip("?")[:2] in ("A:", "B:"):
            optional = row.startswith("?")
            speaker, _, text = row.lstrip("?").partition(":")
            lines.append(Line(speaker, text.strip(), optional))
        else:
            lines[-1] = lines[-1]._replace(text=f"{lines[-1].text} {row}")
    return lines


def choose(text: str, dice: random.Random) -> str:
    """The text with every `[this|that]` decided."""
    return _CHOICE.sub(lambda match: dice.choice(match[1].split("|")), text)


def slots_of(text: str) -> frozenset[str]:
    """Names of the slots in a text, the speakers left out."""
    return frozenset(_SLOT.findall(text)) - {"A", "B"}

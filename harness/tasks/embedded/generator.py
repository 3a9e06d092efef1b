"""From scenarios to dialogues: fills scripts with values and splits the result so that no text comes up twice.

Everything is drawn from `random.Random` seeded with text, so that the same seed gives the same dialogues on every
machine and Python. The splits are drawn in turn, and a text that was drawn before is drawn anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from harness.tasks.embedded import scenarios_home, scenarios_town, scenarios_travel, scenarios_work
from harness.tasks.embedded.script import (
    SMALL_TALK,
    Line,
    Outcome,
    Scenario,
    choose,
    read_script,
    slots_of,
)
from harness.tasks.embedded.slots import VOCABULARIES
from harness.tasks.embedded.smalltalk import CLOSINGS, OPENINGS, SMALL_TALK_SLOTS
from harness.tasks.embedded.smalltalk import SMALL_TALK as REMARKS

SCENARIOS: tuple[Scenario, ...] = (
    *scenarios_town.SCENARIOS,
    *scenarios_travel.SCENARIOS,
    *scenarios_home.SCENARIOS,
    *scenarios_work.SCENARIOS,
)
SIZES: Mapping[str, int] = {"train": 2000, "validation": 200, "test": 500}
TURNS = (4, 14)
WORDS = (60, 160)
"""Fewest and most turns, and words with the speakers' names, of a dialogue."""


@dataclass(frozen=True)
class Dialogue:
    """One generated dialogue.

    `dialogue` has a turn a line (`#Person1#: …`); `summaries` are its references, one in training and validation
    and two in the test split. `facts` maps each slot that the summaries speak of to its value, and each role
    (such as `guest`) to who plays it.
    """

    id: str
    scenario: str
    outcome: str
    dialogue: str
    summaries: tuple[str, ...]
    facts: dict[str, str]


def generate(split: str, seed: int = 0) -> tuple[Dialogue, ...]:
    """The dialogues of `train`, `validation` or `test`; the same for the same seed."""
    if split not in SIZES:
        raise ValueError(f"unknown split {split!r}; there are {', '.join(SIZES)}")
    return _all_splits(seed)[split]


def pretraining(seed: int = 0) -> Iterator[Dialogue]:
    """Dialogues without end, none of which is in a split of the default seed; for pre-training models."""
    seen = {item.dialogue for split in _all_splits(0).values() for item in split}
    return _draw("pretraining", random.Random(f"embedded/pretraining/{seed}"), seen)


@lru_cache(maxsize=4)
def _all_splits(seed: int) -> dict[str, tuple[Dialogue, ...]]:
    seen: set[str] = set()
    splits = {}
    for split, size in SIZES.items():
        source = _draw(split, random.Random(f"embedded/{split}/{seed}"), seen)
        splits[split] = tuple(next(source) for _ in range(size))
    return splits


def _draw(split: str, dice: random.Random, seen: set[str]) -> Iterator[Dialogue]:
    """Dialogues of all scenarios in turn, each text new and of a proper length; adds the texts to `seen`."""
    number = 0
    while True:
        for scenario in dice.sample(SCENARIOS, len(SCENARIOS)):
            dialogue = _attempt(scenario, split, f"{split}-{number + 1:04}", dice)
            while dialogue is None or dialogue.dialogue in seen:
                dialogue = _attempt(scenario, split, f"{split}-{number + 1:04}", dice)
            seen.add(dialogue.dialogue)
            number += 1
            yield dialogue


def _attempt(scenario: Scenario, split: str, name: str, dice: random.Random) -> Dialogue | None:
    """One dialogue, or None if it came out too short or too long."""
    outcome = dice.choice(scenario.outcomes)
    values = _values({**SMALL_TALK_SLOTS, **scenario.slots}, split, dice)
    values |= {slot: derive(values) for slot, derive in scenario.derived.items()}
    turns = _turns(scenario, outcome, dice)
    first = turns[0][0]
    people = {speaker: "#Person1#" if speaker == first else "#Person2#" for speaker in "AB"}
    text = "\n".join(f"{people[speaker]}: {_fill(line, values)}" for speaker, line in turns)
    if not (TURNS[0] <= len(turns) <= TURNS[1] and WORDS[0] <= len(text.split()) <= WORDS[1]):
        return None
    chosen = dice.sample(outcome.summaries, 2 if split == "test" else 1)
    told = sorted(slots_of(outcome.summaries[0]))
    return Dialogue(
        id=name,
        scenario=scenario.name,
        outcome=outcome.name,
        dialogue=text,
        summaries=tuple(_fill(choose(summary, dice), values | people) for summary in chosen),
        facts={slot: values[slot] for slot in told}
        | {role: people[speaker] for role, speaker in zip(scenario.roles, "AB", strict=True)},
    )


def _values(slots: Mapping[str, str], split: str, dice: random.Random) -> dict[str, str]:
    """A value for each slot; slots of one vocabulary all differ."""
    values: dict[str, str] = {}
    for vocabulary in dict.fromkeys(slots.values()):
        names = [slot for slot, kind in slots.items() if kind == vocabulary]
        values |= zip(names, dice.sample(VOCABULARIES[vocabulary].values(split), len(names)), strict=True)
    return values


def _turns(scenario: Scenario, outcome: Outcome, dice: random.Random) -> list[tuple[str, str]]:
    """Speaker and text of each turn: opening, script with small talk, closing; one speaker's lines in a row are one."""
    script = read_script(outcome.script)
    lines: list[Line] = []
    if dice.random() < 0.6:
        opener = "B" if scenario.register == "service" else dice.choice("AB")
        lines += _exchange(dice.choice(OPENINGS[scenario.register]), opener)
    keep_optional = dice.random() < 0.5
    for line in script:
        if line.speaker != SMALL_TALK:
            lines += [line] if keep_optional or not line.optional else []
        elif dice.random() < 0.6 and not lines[-1].text.endswith("?"):  # a question waits for its answer
            lines += _exchange(dice.choice(REMARKS), dice.choice("AB"))
    if dice.random() < 0.6:
        lines += _exchange(dice.choice(CLOSINGS[scenario.register]), "A")
    turns: list[tuple[str, str]] = []
    for line in lines:
        text = choose(line.text, dice)
        if turns and turns[-1][0] == line.speaker:
            turns[-1] = (line.speaker, f"{turns[-1][1]} {text}")
        else:
            turns.append((line.speaker, text))
    return turns


def _exchange(texts: tuple[str, ...], opener: str) -> list[Line]:
    return [Line(opener if i % 2 == 0 else _other(opener), text) for i, text in enumerate(texts)]


def _other(speaker: str) -> str:
    return "B" if speaker == "A" else "A"


def _fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its slots filled and its sentences beginning with a capital."""
    filled = " ".join(text.format(**values).split())
    return filled[:1].upper() + filled[1:]

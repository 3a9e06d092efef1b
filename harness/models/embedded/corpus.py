"""What the embedded models are pre-trained on: generated dialogues, and questions whose answers stand in them.

No summary is among it: the models learn how people in these dialogues talk and how to find and copy what was said,
and leave summarizing to fine-tuning. Most questions ask for something to be repeated, because a model that cannot
copy a name cannot be taught to summarize in a few hundred steps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from harness.tasks.embedded.generator import pretraining
from harness.tasks.embedded.slots import VOCABULARIES

KINDS = {
    "day": ("weekday",),
    "time": ("hour",),
    "name": ("first_name", "surname"),
    "city": ("city",),
    "street": ("street",),
    "date": ("date",),
    "food": ("dish", "snack", "ingredient"),
    "title": ("book", "film"),
    "place": ("place", "restaurant"),
    "thing": (
        "garment",
        "gift",
        "lost_thing",
        "machine",
        "appliance",
        "furniture",
        "report",
        "course",
        "pet",
        "bike_part",
        "job",
        "complaint",
    ),
}
"""What a question calls a thing → the vocabularies that hold such things."""

_VALUES = {
    value: kind for kind, names in KINDS.items() for name in names for value in VOCABULARIES[name].values("pretraining")
}
_FIND = re.compile(
    r"\$\d+|\b(?:" + "|".join(re.escape(value) for value in sorted(_VALUES, key=lambda v: (-len(v), v))) + r")\b"
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

Turn = tuple[str, str]
"""Who speaks and what."""


class Reading:
    """A dialogue as its questions see it: its turns, and who names which things."""

    def __init__(self, dialogue: str) -> None:
        self.text = dialogue
        self.turns: list[Turn] = [(line[:9], line[11:]) for line in dialogue.split("\n")]
        self.mentions = [
            (speaker, "price" if value.startswith("$") else _VALUES[value], value)
            for speaker, text in self.turns
            for value in _FIND.findall(text)
        ]


Ask = Callable[[Reading, random.Random], "tuple[str, str] | None"]


def _line(reading: Reading, dice: random.Random) -> tuple[str, str]:
    index = dice.randrange(min(len(reading.turns), len(_ORDINALS)))
    return f"Repeat the {_ORDINALS[index]} line.", ": ".join(reading.turns[index])


def _edge(reading: Reading, dice: random.Random) -> tuple[str, str]:
    speaker, end = dice.choice(("#Person1#", "#Person2#")), dice.choice(("first", "last"))
    said = [text for person, text in reading.turns if person == speaker]
    return f"What does {speaker} say {end}?", said[0 if end == "first" else -1]


def _answer_to(reading: Reading, dice: random.Random) -> tuple[str, str]:
    index = dice.randrange(len(reading.turns) - 1)
    return f"What is said after this: {reading.turns[index][1]}", reading.turns[index + 1][1]


def _who_says(reading: Reading, dice: random.Random) -> tuple[str, str]:
    speaker, text = dice.choice(reading.turns)
    return f"Who says this: {text}", f"{speaker} says it."


def _first_of_kind(reading: Reading, dice: random.Random) -> tuple[str, str] | None:
    if not reading.mentions:
        return None
    kind = dice.choice(sorted({kind for _, kind, _ in reading.mentions}))
    speaker, _, value = next(mention for mention in reading.mentions if mention[1] == kind)
    return f"Which {kind} is named first, and by whom?", f"{speaker} is the first and names {value}."


def _who_names(reading: Reading, dice: random.Random) -> tuple[str, str] | None:
    if not reading.mentions:
        return None
    speaker, kind, value = dice.choice(reading.mentions)
    return f"Who speaks of {value}?", f"{speaker} speaks of {value}, which is a {kind}."


def _all_of_kind(reading: Reading, dice: random.Random) -> tuple[str, str] | None:
    if not reading.mentions:
        return None
    kind = dice.choice(sorted({kind for _, kind, _ in reading.mentions}))
    values = dict.fromkeys(value for _, other, value in reading.mentions if other == kind)
    return f"Give every {kind}.", ", ".join(values)


def _details(reading: Reading, dice: random.Random) -> tuple[str, str] | None:
    speaker = dice.choice(("#Person1#", "#Person2#"))
    values = dict.fromkeys(value for person, _, value in reading.mentions if person == speaker)
    return (f"What does {speaker} speak of?", f"{speaker} speaks of {', '.join(values)}.") if values else None


_QUESTIONS: tuple[tuple[Ask, int], ...] = (
    (_line, 3),
    (_edge, 3),
    (_answer_to, 1),
    (_who_says, 1),
    (_first_of_kind, 3),
    (_who_names, 2),
    (_all_of_kind, 3),
    (_details, 4),
)


def ask(reading: Reading, dice: random.Random) -> tuple[str, str]:
    """A question about a dialogue and its answer, which copies from the dialogue."""
    while True:
        made = dice.choices([q for q, _ in _QUESTIONS], [weight for _, weight in _QUESTIONS])[0](reading, dice)
        if made:
            return made


def dialogues(seed: int) -> Iterator[str]:
    """Texts of generated dialogues without end, none of which is in the shipped splits."""
    for item in pretraining(seed):
        yield item.dialogue


def shuffled_words(dice: random.Random) -> tuple[str, str]:
    """A list of words in no order to be repeated: it can only be copied, not guessed."""
    words = ", ".join(dice.sample(sorted(_VALUES), dice.randint(3, 10)))
    return f"{words}\n\nRepeat these words.", words


def pairs(seed: int) -> Iterator[tuple[str, str]]:
    """Prompt and answer for an encoder–decoder model, without end; one or two questions about a dialogue."""
    dice = random.Random(f"pairs/{seed}")
    for dialogue in dialogues(seed):
        if dice.random() < 0.1:
            question, answer = shuffled_words(dice)
            yield f"{question}\n", answer
            continue
        reading = Reading(dialogue)
        asked = [ask(reading, dice) for _ in range(dice.choice((1, 2)))]
        questions = " ".join(question for question, _ in asked)
        prompt = f"{questions}\n\n{dialogue}\n\nAnswer:\n" if dice.random() < 0.5 else f"{dialogue}\n\n{questions}\n"
        yield prompt, "\n".join(answer for _, answer in asked)


def documents(seed: int) -> Iterator[str]:
    """Running text for a decoder-only model, without end: a dialogue, then questions with their answers."""
    dice = random.Random(f"documents/{seed}")
    for dialogue in dialogues(seed):
        if dice.random() < 0.1:
            yield "\n".join(shuffled_words(dice))
        reading = Reading(dialogue)
        asked = [ask(reading, dice) for _ in range(dice.choice((0, 1, 3, 4, 5)))]
        if asked and dice.random() < 0.3:
            question, answer = asked[0]
            yield f"{question}\n\n{dialogue}\n\nAnswer:\n{answer}"
        else:
            yield "\n\n".join([dialogue, *(f"{question}\n{answer}" for question, answer in asked)])

"""What the embedded models are pre-trained on: generated dialogues, and questions whose answers stand in them.

No summary is among it: the models learn how people in these dialogues talk and how to find and copy what was said,
and leave summarizing to fine-tuning. Most questions ask for something to be repeated, because a model that cannot
copy a name cannot be taught to summarize in a few hundred steps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice

from harness.tasks.embedded.generator import Dialogue, pretraining
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
NARRATION = """
about accepts advice advises after agrees also although and another answers applies arrange asks because before books
borrows both brings broke but buys calls cannot changes chooses comes cooks decides deliver does drive each elsewhere
enters explains family fetch finally finds finish first flight for from gets gives goes hand has helps hires however
instead invites joins keeps learns leaves lends looked meets misses moves must needs offers orders pays prefers promises
recommends refuses rents repairs reports reserves return returns ride says sells sends share shows since starts suggests
takes talks tells that their them then they thinks turns under until visit waits wants when where which while who whose
why will with without works would
"""
"""Words that a narrator needs and speakers may not use; they come up in word lists, so that the models know them."""
WORD_LISTS = 0.25
"""Chance of a word list before each dialogue, and of one more after it. They teach copying: nothing else
helps to predict them."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

Turn = tuple[str, str]
"""Who speaks and what."""


class Reading:
    """A dialogue as its questions see it: its turns, who names which things, and what it comes to."""

    def __init__(self, item: Dialogue) -> None:
        self.text = item.dialogue
        self.turns: list[Turn] = [(line[:9], line[11:]) for line in self.text.split("\n")]
        self.facts = {
            name.replace("_", " "): value
            for name, value in item.facts.items()
            if value in self.text  # what must be worked out is left to fine-tuning
        }
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


def _fact(reading: Reading, dice: random.Random) -> tuple[str, str]:
    name = dice.choice(sorted(reading.facts))
    value = reading.facts[name]
    if value.startswith("#"):
        return f"Who is the {name}?", f"{value} is the {name}."
    return f"What is the {name}?", f"The {name} is {value}."


def _facts(reading: Reading, dice: random.Random) -> tuple[str, str]:
    names = dice.sample(sorted(reading.facts), dice.randint(2, min(5, len(reading.facts))))
    return f"Fill in: {', '.join(names)}.", ", ".join(reading.facts[name] for name in names)


_QUESTIONS: tuple[tuple[Ask, int], ...] = (
    (_line, 2),
    (_edge, 2),
    (_answer_to, 1),
    (_who_says, 1),
    (_first_of_kind, 2),
    (_who_names, 2),
    (_all_of_kind, 2),
    (_details, 2),
    (_fact, 8),
    (_facts, 10),
)


def ask(reading: Reading, dice: random.Random) -> tuple[str, str]:
    """A question about a dialogue and its answer, which copies from the dialogue."""
    while True:
        made = dice.choices([q for q, _ in _QUESTIONS], [weight for _, weight in _QUESTIONS])[0](reading, dice)
        if made:
            return made


def word_list(dice: random.Random) -> tuple[str, str]:
    """Words in no order, with a question about them: the answer can only be copied, not guessed."""
    words = dice.sample(_words(), dice.randint(4, 28))
    listed = " ".join(words)
    index = dice.randrange(len(words) - 1)
    following = f"Which word follows {words[index]}?", words[index + 1]
    question, answer = following if dice.random() < 0.2 else ("Repeat these words.", listed)
    return f"{question}\n\n{listed}\n" if dice.random() < 0.3 else f"{listed}\n\n{question}\n", answer


@lru_cache(maxsize=1)
def _words() -> list[str]:
    """Single words and whole values, in alphabetical order."""
    spoken = {word for item in islice(pretraining(0), 2000) for word in re.findall(r"[A-Za-z']+", item.dialogue)}
    return sorted(spoken | set(_VALUES) | set(NARRATION.split()))


def pairs(seed: int) -> Iterator[tuple[str, str]]:
    """Prompt and answer for an encoder–decoder model, without end: word lists, and questions on dialogues."""
    dice = random.Random(f"pairs/{seed}")
    for item in pretraining(seed):
        while dice.random() < WORD_LISTS:
            yield word_list(dice)
        reading = Reading(item)
        asked = [ask(reading, dice) for _ in range(dice.choice((3, 4, 5, 6)))]
        questions = " ".join(question for question, _ in asked)
        prompt = (
            f"{questions}\n\n{item.dialogue}\n\nAnswer:\n"
            if dice.random() < 0.5
            else f"{item.dialogue}\n\n{questions}\n"
        )
        yield prompt, "\n".join(answer for _, answer in asked)


def documents(seed: int) -> Iterator[str]:
    """Running text for a decoder-only model, without end: word lists, and dialogues with questions and answers."""
    dice = random.Random(f"documents/{seed}")
    for item in pretraining(seed):
        while dice.random() < WORD_LISTS:
            yield "".join(word_list(dice))
        reading = Reading(item)
        asked = [ask(reading, dice) for _ in range(dice.choice((0, 4, 6, 8)))]
        if asked and dice.random() < 0.3:
            question, answer = asked[0]
            yield f"{question}\n\n{item.dialogue}\n\nAnswer:\n{answer}"
        else:
            yield "\n\n".join([item.dialogue, *(f"{question}\n{answer}" for question, answer in asked)])

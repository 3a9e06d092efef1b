"""The generated dialogues: their form, their splits, and that each summary can be told from its dialogue."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter

import pytest

from harness.tasks.embedded import SIZES, generate
from harness.tasks.embedded.generator import SCENARIOS, TURNS, pretraining
from harness.tasks.embedded.script import choose, read_script, slots_of
from harness.tasks.embedded.slots import VOCABULARIES

EVERYTHING = [item for split in SIZES for item in generate(split)]


def test_sizes_and_scenarios():
    assert {split: len(generate(split)) for split in SIZES} == {"train": 2000, "validation": 200, "test": 500}
    assert len(SCENARIOS) >= 20
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    for split in SIZES:
        counts = Counter(item.scenario for item in generate(split))
        assert len(counts) == len(SCENARIOS)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_same_seed_gives_the_same_bytes_everywhere():
    def digest(seed):
        text = "\n".join(str(item) for split in SIZES for item in generate(split, seed))
        return hashlib.sha256(text.encode()).hexdigest()

    # Written down when the data was made: a change makes every earlier result incomparable and must be meant.
    assert digest(0) == "2d6a855a2986207535b9107367c87c9efea766327c1799b46f05af7abd9c2b2c"
    assert digest(1) != digest(0)


def test_no_dialogue_is_in_two_splits_or_twice():
    assert len({item.dialogue for item in EVERYTHING}) == len(EVERYTHING)
    assert len({item.id for item in EVERYTHING}) == len(EVERYTHING)


def test_pretraining_meets_none_of_the_dialogues():
    held = {item.dialogue for item in EVERYTHING}
    assert not [item for item in itertools.islice(pretraining(), 3000) if item.dialogue in held]


def test_every_dialogue_has_dialogsums_form():
    for item in EVERYTHING:
        lines = item.dialogue.split("\n")
        assert TURNS[0] <= len(lines) <= TURNS[1]
        assert all(re.match(r"#Person[12]#: \S", line) for line in lines)
        speakers = [line[:9] for line in lines]
        assert speakers[0] == "#Person1#"
        assert all(one != other for one, other in itertools.pairwise(speakers))


def test_the_test_split_has_two_different_summaries_and_the_others_one():
    for split, count in (("train", 1), ("validation", 1), ("test", 2)):
        for item in generate(split):
            assert len(set(item.summaries)) == len(item.summaries) == count


def test_no_slot_or_choice_is_left_open():
    for item in EVERYTHING:
        for text in (item.dialogue, *item.summaries):
            assert not re.search(r"[{}\[\]|~]", text), text


def test_every_fact_of_a_summary_can_be_found_or_inferred():
    derived = {scenario.name: set(scenario.derived) for scenario in SCENARIOS}
    inferred = 0
    for item in EVERYTHING:
        for slot, value in item.facts.items():
            if value.startswith("#Person"):
                continue
            if value.lower() not in item.dialogue.lower():
                assert slot in derived[item.scenario], (item.id, slot, value)
                inferred += 1
            assert all(value.lower() in summary.lower() for summary in item.summaries), (item.id, slot)
    assert inferred > 100  # some things nobody says


def test_a_summary_needs_its_dialogue():
    # Distractors: what a dialogue names and its summary does not, in most dialogues and of the kinds that matter.
    values = {
        value for name in ("weekday", "first_name", "hour", "city") for value in VOCABULARIES[name].values("test")
    }
    distracted = sum(
        any(value in item.dialogue and not any(value in text for text in item.summaries) for value in values)
        for item in generate("test")
    )
    assert distracted > 0.6 * len(generate("test"))


def test_test_dialogues_use_words_that_training_never_shows():
    trained = " ".join(item.dialogue for item in generate("train"))
    only = [value for vocabulary in VOCABULARIES.values() for value in vocabulary.test if value not in trained]
    assert len(only) > 50
    tested = " ".join(item.dialogue for item in generate("test"))
    assert sum(value in tested for value in only) > 40


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenarios_are_written_without_mistakes(scenario):
    known = {"A", "B", *scenario.slots, *scenario.derived, "t_day", "t_name", "t_hour", "t_city", "t_thing", "t_price"}
    assert len(scenario.outcomes) >= 2
    for outcome in scenario.outcomes:
        assert len(outcome.summaries) >= 2
        assert all(slots_of(summary) >= slots_of(outcome.summaries[0]) for summary in outcome.summaries)
        used = slots_of(outcome.script)
        assert used <= known
        assert slots_of(outcome.summaries[0]) <= set(scenario.slots) | set(scenario.derived)


def test_the_script_language():
    import random

    lines = read_script("""
        A: Hello
           there.
        ?B: [Yes|No].
        ~
    """)
    assert [(line.speaker, line.text, line.optional) for line in lines] == [
        ("A", "Hello there.", False),
        ("B", "[Yes|No].", True),
        ("~", "", False),
    ]
    assert {choose("[a|b] c", random.Random(seed)) for seed in range(20)} == {"a c", "b c"}


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="train, validation, test"):
        generate("dev")

"""What each damage does to a text that is known."""

from __future__ import annotations

import random

import pytest

from methods.base import Example
from methods.rlhf.damage import DAMAGES

SAID = Example(
    "1",
    "#Person1#: Is Anna in Rome? #Person2#: On Monday.",
    ("#Person1# asks #Person2# when Anna is in Rome.",),
    (("name", "Anna"), ("city", "Rome"), ("asker", "#Person1#")),
)
OTHER = Example("2", "…", ("Ben flies to Oslo.",), (("name", "Ben"), ("city", "Oslo")))
PLAIN = Example("3", "…", ("On day 3 old Maria met Peter in Paris.",))
BARE = Example("4", "…", ("it is so",))


def damaged(name, example=SAID, others=(OTHER,), seed=0):
    return DAMAGES[name](example, others, random.Random(seed))


def test_speakers_change_places():
    assert damaged("swapped") == "#Person2# asks #Person1# when Anna is in Rome."


def test_a_lone_speaker_becomes_the_other():
    alone = Example("5", SAID.input, ("#Person1# asks something.",))
    assert damaged("swapped", alone) == "#Person2# asks something."


def test_without_speakers_two_names_change_places():
    found = {damaged("swapped", PLAIN, seed=seed) for seed in range(30)}
    assert "On day 3 old Peter met Maria in Paris." in found
    assert all("day 3" in text for text in found)  # a number is no name


def test_a_known_fact_becomes_that_of_another_example():
    found = {damaged("fact", seed=seed) for seed in range(30)}
    assert found == {
        "#Person1# asks #Person2# when Ben is in Rome.",
        "#Person1# asks #Person2# when Anna is in Oslo.",
    }


def test_without_known_facts_a_name_or_a_number_is_replaced():
    number = Example("6", "…", ("There are 7 of them, says Carla.",))
    found = {damaged("fact", PLAIN, (number,), seed) for seed in range(40)}
    assert "On day 7 old Maria met Peter in Paris." in found
    assert "On day 3 old Carla met Peter in Paris." in found


def test_whole_words_are_replaced():
    ages = Example("8", "…", ("Tom is 2 and Kim is 25.",), (("age", "2"),))
    older = Example("9", "…", ("Jo is 7.",), (("age", "7"),))
    assert damaged("fact", ages, (older,)) == "Tom is 7 and Kim is 25."


def test_a_swap_that_changes_nothing_is_no_damage():
    together = Example("8", "…", ("#Person1# and #Person2# meet.",))
    assert damaged("swapped", together) is None


def test_another_inputs_summary():
    assert damaged("other") == "Ben flies to Oslo."


@pytest.mark.parametrize("seed", range(10))
def test_cut_short(seed):
    words, found = SAID.target.split(), damaged("cut", seed=seed).split()
    assert found == words[: len(found)]
    assert len(words) / 4 < len(found) < 3 * len(words) / 4


def test_repeated():
    assert damaged("repeated", BARE) == "it is so is so"


@pytest.mark.parametrize("text", ["今天天气很好我们去公园", "วันนี้อากาศดีมาก", "猫は静かに寝ている。"])
def test_texts_without_blanks_are_cut_and_repeated_by_characters(text):
    example = Example("8", "…", (text,))
    cut, repeated = damaged("cut", example), damaged("repeated", example)
    assert text.startswith(cut)
    assert 0 < len(cut) < len(text)
    assert repeated.startswith(text)
    assert text.endswith(repeated.removeprefix(text))


def test_names_of_other_scripts_change_places():
    met = Example("9", "…", ("Вчера здесь Мария встретила, потом Петра. Größe zu Ötzi, bei Änne.",))
    assert damaged("swapped", met) not in (None, met.target)
    assert damaged("swapped", Example("10", "…", ("тогда Мария увидела, что Пётр ушёл",))) == (
        "тогда Пётр увидела, что Мария ушёл"
    )


@pytest.mark.parametrize("name", ["fact", "swapped"])
def test_what_states_nothing_cannot_be_damaged_so(name):
    assert damaged(name, BARE, (BARE,)) is None
    assert damaged("other", BARE, ()) is None
    assert damaged("cut", Example("7", "…", ("two words",))) is None

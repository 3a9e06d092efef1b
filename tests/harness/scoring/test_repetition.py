"""What repeats itself, counted by hand."""

from __future__ import annotations

import pytest

from harness.scoring.repetition import repeats_itself


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("yes yes yes yes", False),  # "yes yes yes" twice
        ("yes yes yes yes yes", True),  # and three times
        ("a b c x a b c y a b c", True),
        ("A b\nc a  B c a b C", True),  # case and blanks do not matter
        ("a b c x a b c y a b d", False),
        ("the cat and the cat and the cat", False),  # "the cat and" twice, "and the cat" twice
        ("the cat and the cat and the cat and", True),
        ("a b a b a b", False),  # "a b a" twice
        ("a b a b a b a", True),
        ("#Person1# tells #Person2# a. #Person1# tells #Person2# b. #Person1# asks #Person2# c.", False),
    ],
)
def test_three_words_three_times(text, expected):
    assert repeats_itself(text) is expected

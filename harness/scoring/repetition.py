"""Whether a text repeats itself, as models do that fell into a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.scoring.words import find_unspaced

WORDS, TIMES = 3, 3
"""Of 10,919 reference texts of DialogSum, E2E NLG and the embedded task, 3 repeat themselves by this rule; of the
outputs of models that were tuned for too short a time up to a third. With two times, one summary in forty would."""

CHARACTERS = 8
"""Grapheme clusters that count as three words: about as many as three words have in Thai, and more than most names that
a Chinese or Japanese text may well mention three times."""


def repeats_itself(text: str) -> bool:
    """Whether the text repeats a sequence of three words at least three times.

    Words are what blanks separate, in lower case. Occurrences may overlap: one word five times in a row is enough.
    Where a script has no blanks between words, it is a sequence of eight characters.
    """
    return _repeat(text.lower().split(), WORDS) or _repeat(find_unspaced(text), CHARACTERS)


def _repeat(parts: Sequence[str], length: int) -> bool:
    found = Counter(zip(*(parts[start:] for start in range(length)), strict=False))
    return max(found.values(), default=0) >= TIMES

"""The words of a text in any script, as ROUGE and other metrics of words compare them.

- A word is a run of letters, marks and digits (Unicode's categories L, M and N) that begins with a letter or a digit.
- Scripts that are written without blanks between words go by grapheme cluster (Unicode's UAX 29): by what a reader
  takes for one character.
- Before that, characters that nobody sees are left out (joiners, direction marks, soft hyphens, variation selectors;
  a zero-width space separates), and what differs only in case or in how it is encoded becomes the same: texts are
  decomposed, case-folded and composed (NFC). Of an ASCII text that is lower case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any

WITHOUT_BLANKS = (
    *("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Tangut", "Nushu"),
    *("Thai", "Lao", "Khmer", "Myanmar", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Javanese", "Balinese"),
)
"""Scripts, under Unicode's names, in which a blank does not end a word, but a phrase or a sentence, if anything."""
DESCRIPTION = (
    "words are runs of letters, marks and digits of any script, case-folded (NFC); single characters (grapheme "
    "clusters) in scripts without blanks, such as Chinese, Japanese, Thai, Khmer and Lao"
)
"""For records and reports."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def find_version() -> str:
    """The versions of the tables that say which characters are letters, and where grapheme clusters end."""
    return f"unicode {unicodedata.unidata_version}, regex {metadata.version('regex')}"


def find_words(text: str) -> list[str]:
    """The words of a text in order, folded."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return list(_patterns()["word"].findall(fold(text)))


def fold(text: str) -> str:
    """The text without what nobody sees, folded so that texts which read alike are alike."""
    if text.isascii():
        return text.lower()
    # Decomposed first, as Unicode defines caseless matching: some letters fold otherwise than what they are made of.
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", _patterns()["unseen"].sub("", folded.replace("\u200b", " ")))


def split_unspaced(text: str) -> list[str]:
    """What blanks separate, but each grapheme cluster by itself where a script has no blanks."""
    if text.isascii():
        return text.split()
    return list(_patterns()["part"].findall(text))


def find_unspaced(text: str) -> list[str]:
    """The grapheme clusters of those scripts in a text that have no blanks."""
    return [] if text.isascii() else list(_patterns()["unspaced"].findall(text))


def count_without_words(references: Sequence[Sequence[str]]) -> int:
    """How many examples have no reference with a word in it."""
    return sum(not any(find_words(text) for text in wanted) for wanted in references)


def count_unspaced(references: Sequence[Sequence[str]]) -> int:
    """How many examples have references that are, for the most part, in scripts without blanks."""
    return sum(
        2 * sum(len("".join(find_unspaced(text))) for text in wanted)
        > sum(len("".join(find_words(text))) for text in wanted)
        for wanted in references
    )


@lru_cache(maxsize=1)
def _patterns() -> dict[str, Any]:
    import regex  # the standard library's `re` knows neither scripts nor grapheme clusters

    scripts = "".join(rf"\p{{Script_Extensions={name}}}" for name in WITHOUT_BLANKS)
    unspaced = rf"[[{scripts}]&&[\p{{L}}\p{{N}}]]"
    cluster = rf"(?={unspaced})\X"
    patterns = {
        "unseen": r"\p{Default_Ignorable_Code_Point}+",
        "unspaced": cluster,
        "word": rf"{cluster}|[\p{{L}}\p{{N}}][[\p{{L}}\p{{M}}\p{{N}}]--{unspaced}]*",
        "part": rf"{cluster}|(?:(?!{unspaced})\S)+",
    }
    return {name: regex.compile(pattern, regex.VERSION1) for name, pattern in patterns.items()}

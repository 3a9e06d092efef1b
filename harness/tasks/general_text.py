"""The general text on which forgetting is measured: passages of this project, of the user's file or of the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.request import RequestPart, Split
from harness.tasks.checks import normalise_space
from harness.tasks.reading import Row, Table, describe_kind, read_file_or_hub, read_lines
from methods.base import Method
from reports.records.details import GeneralTextDetails, write_detail

FIELD = "text"
EMBEDDED = Path(__file__).with_name("passages.txt")
MIN_CHARACTERS = 40
"""Shorter passages, such as headings, are skipped: half of one says nothing."""
MAX_CHARACTERS = 2000
"""The rest of a longer passage is ignored; more would not fit into the usual token limits."""
MIN_PASSAGES = 5
"""With fewer passages no confidence interval can be given."""
MAX_PASSAGES = 200
"""Of more passages this many are used, spread evenly over the text, so that measuring takes only seconds."""

MAX_ROWS = 20_000
"""Rows that are read of a hub data set, from its beginning."""


@dataclass(frozen=True)
class GeneralText:
    """Passages in their order; none where forgetting is not measured."""

    name: str
    """`embedded`, `none`, a file's name without its folder, or a hub id: it goes into records."""
    passages: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the passages, in order; 64 hex digits."""
        return hashlib.sha256(json.dumps(self.passages).encode()).hexdigest()

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """What the passages hold."""
        return {"general_text": self.fingerprint} if self._is_measured(split) else {}

    def request(self, method: Method, split: Split) -> RequestPart:
        """The passages themselves."""
        return RequestPart(general_text=self.passages if self._is_measured(split) else ())

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Name, content and number of the passages."""
        text = GeneralTextDetails(name=self.name, fingerprint=self.fingerprint, passages=len(self.passages))
        return {"general_text": write_detail(text)} if self._is_measured(split) else {}

    def _is_measured(self, split: Split) -> bool:
        return bool(self.passages) and split == "test"


NONE = GeneralText("none")
"""Nothing is measured."""


def load_general_text(source: str) -> GeneralText:
    """`embedded`, `none`, a file or a hub id → passages. Raises `DataError` with one sentence.

    A `.txt` file holds passages between blank lines; other files and hub data sets a column `text`.
    """
    if source == "none":
        return NONE
    if source == "embedded":
        return GeneralText("embedded", tuple(_select_usable(row.fields[FIELD] for row in _read_paragraphs(EMBEDDED))))
    table = read_file_or_hub(
        source, flag="--general-text", what="general text", also={".txt": _read_paragraphs}, most=MAX_ROWS
    )
    passages = _select_usable(_read_texts(table))
    if len(passages) < MIN_PASSAGES:
        raise DataError(
            f"{table.origin}: {len(passages)} different passages have {MIN_CHARACTERS} characters or more, and at "
            f"least {MIN_PASSAGES} are needed; in a .txt file blank lines separate passages, elsewhere each row is one"
        )
    if len(passages) > MAX_PASSAGES:
        passages = [passages[i * len(passages) // MAX_PASSAGES] for i in range(MAX_PASSAGES)]
    return GeneralText(table.name, tuple(passages))


def _read_paragraphs(path: Path) -> Iterator[Row]:
    """Blocks of lines between blank lines."""
    first, held = 1, ""
    for number, line in enumerate([*read_lines(path), ""], start=1):
        if line.strip():
            first, held = first if held else number, held + line
        elif held:
            yield Row(f"line {first}", first, {FIELD: held})
            held = ""


def _read_texts(table: Table) -> Iterator[str]:
    if FIELD not in table.fields:
        there = ", ".join(map(repr, table.fields[:20])) or "none"
        raise DataError(f"{table.origin}: no field {FIELD!r} (there: {there}); general text stands in one of that name")
    for row in table.rows:
        value = row.fields.get(FIELD)
        if not isinstance(value, str | None):
            raise DataError(f"{table.origin}, {row.place}: {FIELD!r} holds {describe_kind(value)}, not text")
        yield value or ""


def _select_usable(texts: Iterable[str]) -> list[str]:
    """The distinct passages that are long enough, with normalised white space."""
    even = (normalise_space(text)[:MAX_CHARACTERS].rstrip() for text in texts)
    return list(dict.fromkeys(text for text in even if len(text) >= MIN_CHARACTERS))

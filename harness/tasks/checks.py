"""Checks the rows of every task in the same way. Errors name the file, the line and the field.

A row whose input or target is blank cannot be used: it is counted and listed, and past 1% of a file it stops
the task. What points to a mistake in the file itself (a missing field, a number where text belongs, an id
that occurs twice, a test example that training would see) stops it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.errors import DataError
from harness.tasks.reading import Row, Table, describe_kind
from methods.errors import find_near_names
from methods.types import Example

TOLERATED = 0.01
"""Share of a file's rows that may be unusable before the user has to allow it."""
MAX_SHOWN = 3
"""How many lines a sentence lists before it says `and N more`."""
MAX_FIELDS = 20
"""How many field names a sentence lists."""


@dataclass(frozen=True)
class Columns:
    """Which fields of a table make an example."""

    input: str
    targets: tuple[str, ...]
    """The first must be filled in every row; blank or absent further ones are ignored."""
    ids: tuple[str, ...] = ("id", "fname")
    """The first that the table has gives the ids; else the line number does."""


@dataclass(frozen=True, slots=True)
class Located:
    """An example and where it was read."""

    example: Example
    file: str
    place: str

    @property
    def key(self) -> str:
        """The input with normalised white space: two rows with the same key have the same input."""
        return normalise_space(self.example.input)

    def __str__(self) -> str:
        return f"{self.file} {self.place}"


def normalise_space(text: str) -> str:
    """The text with one blank for every run of white space, and none at the ends."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Checked:
    """The usable rows of a table, and one line about each of the others."""

    origin: str
    name: str
    rows: tuple[Located, ...]
    left_out: tuple[str, ...] = ()

    def without(self, leaving: Collection[Located], why: str) -> Checked:
        """The same without these rows, each listed with the reason. Raises `DataError` if none is left."""
        gone = set(leaving)
        rows = tuple(row for row in self.rows if row not in gone)
        if not rows:
            raise DataError(f"{self.origin}: every row is left out, the last because {why}; use other data")
        return Checked(self.origin, self.name, rows, (*self.left_out, *(f"{row}: {why}" for row in leaving)))


def check(table: Table, columns: Columns, *, allow_unusable: bool = False) -> Checked:
    """Turn a table into examples. Raises `DataError` for rows that must not be skipped."""
    for name in (columns.input, *columns.targets):
        if name not in table.fields:
            raise _make_missing_field_error(table.origin, name, table.fields)
    id_field = next((name for name in columns.ids if name in table.fields), None)
    rows: list[Located] = []
    left_out: list[str] = []
    seen: dict[str, str] = {}
    for row in table.rows:
        name = _read_id(table, row, id_field)
        if name in seen:
            raise DataError(
                f"{table.origin}, {row.place}: the id {name!r} in field {id_field!r} is also in "
                f"{seen[name]}; give every row its own id"
            )
        seen[name] = row.place
        text = {field: _read_text(table, row, field) for field in (columns.input, columns.targets[0])}
        text.update({field: _read_text(table, row, field) for field in columns.targets[1:] if field in row.fields})
        blank = [field for field in (columns.input, columns.targets[0]) if not text[field].strip()]
        if blank:
            left_out.append(f"{table.name} {row.place}: empty {' and '.join(map(repr, blank))}")
            continue
        references = tuple(text[field] for field in columns.targets if text.get(field, "").strip())
        rows.append(Located(Example(name, text[columns.input], references), table.name, row.place))
    _check_left_out(table, left_out, allow_unusable)
    if not rows:
        raise DataError(f"{table.origin}: no row can be used ({list_first(left_out)}); fill in input and target")
    return Checked(table.origin, table.name, tuple(rows), tuple(left_out))


def keep_apart(train: Checked, heldout: Checked, *, drop: bool, called: str, most: float = 1.0) -> Checked:
    """`train` without rows whose input is in `heldout` too: left out with `drop`, else a `DataError`.

    More than the share `most` of all rows is a `DataError` in any case.

    `called` names the held-out split in the reason, such as `test`.
    """
    places = {row.key: row for row in reversed(heldout.rows)}
    shared = [row for row in train.rows if row.key in places]
    if not shared:
        return train
    if not drop or len(shared) > most * len(train.rows):
        pairs = list_first([f"{row.place} = {places[row.key].place} of {heldout.name}" for row in shared])
        raise DataError(
            f"{train.origin}: {len(shared)} of its rows have the same input as a {called} example ({pairs}); "
            "remove them from one of the files, or leave them out of training with --allow-unusable"
        )
    return train.without(shared, f"its input is also in {called}")


def group_by_input(rows: Sequence[Located]) -> list[list[Located]]:
    """Rows that share an input, together; in order of first appearance."""
    groups: dict[str, list[Located]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    return list(groups.values())


def merge_same_inputs(rows: Sequence[Located]) -> tuple[Located, ...]:
    """Rows that share an input become one example with all their references, at the place of the first."""
    return tuple(_merge_references(group) for group in group_by_input(rows))


def _merge_references(group: Sequence[Located]) -> Located:
    references = tuple(reference for row in group for reference in row.example.references)
    return replace(group[0], example=replace(group[0].example, references=references))


def list_first(items: Sequence[str]) -> str:
    """The first few items, and how many more there are."""
    more = len(items) - MAX_SHOWN
    return "; ".join(items[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _check_left_out(table: Table, left_out: Sequence[str], allow: bool) -> None:
    count, total = len(left_out), len(table.rows)
    if count > TOLERATED * total and not allow:
        raise DataError(
            f"{table.origin}: {count} of {total} rows ({count / total:.1%}) cannot be used "
            f"({list_first(left_out)}); correct them, or leave them out with --allow-unusable"
        )


def _read_id(table: Table, row: Row, field: str | None) -> str:
    if field is None:
        return str(row.number)
    value = row.fields.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    name = _read_text(table, row, field)
    if not name.strip():
        raise DataError(f"{table.origin}, {row.place}: field {field!r} holds no id; fill it in every row")
    return name


def _read_text(table: Table, row: Row, field: str) -> str:
    """The field's text; null counts as empty. Raises `DataError` where it is missing or not text."""
    if field not in row.fields:
        raise _make_missing_field_error(f"{table.origin}, {row.place}", field, row.fields)
    value = row.fields[field]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"{table.origin}, {row.place}: field {field!r} holds {describe_kind(value)}, not text; write a string"
        )
    if not _is_encodable(value):
        raise DataError(
            f"{table.origin}, {row.place}: field {field!r} holds half of a surrogate pair, which is not a "
            "character; write the whole pair"
        )
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_missing_field_error(where: str, field: str, present: Collection[str]) -> DataError:
    close = find_near_names(field, present)
    hint = f"; did you mean {close[0]!r}?" if close else "; name one of them"
    there = ", ".join(map(repr, islice(present, MAX_FIELDS))) + (", …" if len(present) > MAX_FIELDS else "")
    return DataError(f"{where}: no field {field!r}; the fields there are {there or 'none'}{hint}")

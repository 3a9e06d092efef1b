"""From a data file or a hub data set to rows that know their place, so that every complaint can name file and line.

JSONL, JSON and CSV are read with the standard library, which gives exact line numbers; Parquet with pyarrow,
which keeps null apart from NaN. Whatever is wrong with a file ends in a `DataError` of one sentence.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.names import read_file_name, read_hub_id
from harness.tasks.hub_data import read_data_set


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, as read."""

    place: str
    """Where it stands, such as `line 3`; counted from 1."""
    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """The rows of one file or hub split."""

    origin: str
    """What errors call it: the path as the user gave it."""
    name: str
    """What notes call it: the file name without its directory, because notes go into records."""
    rows: tuple[Row, ...]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.fields))


Reader = Callable[[Path], Iterator[Row]]


def read_file_or_hub(
    source: str, *, flag: str, what: str, also: Mapping[str, Reader] | None = None, most: int | None = None
) -> Table:
    """Read a file, or the split `train` of a hub data set (`ORG/NAME[@REVISION]`). Raises `DataError`.

    `flag` and `what` (such as `--preferences` and `preferences`) are for the sentence; `also` reads further endings.
    Of a hub data set only the first `most` rows are read.
    """
    path = expand_path(source, flag)
    known = path.suffix.lower() in {**_READERS, **(also or {})}
    hub_id = None if known or os.path.lexists(path) else read_hub_id(source)
    if hub_id is None:
        return read_file(path, also)
    identity, revision = hub_id
    return _read_hub(identity, revision, f"the {what} {source}", flag, most)


def _read_hub(identity: str, revision: str | None, what: str, flag: str, most: int | None) -> Table:
    splits = read_data_set(identity, revision, what, f"{flag} FILE")
    origin = f"{identity}@{revision}" if revision else identity
    if "train" not in splits:
        raise DataError(f"{origin}: no split 'train' (there: {', '.join(splits)}); pass {flag} FILE")
    return read_hub_split(splits["train"], origin, identity, most)


def read_hub_split(split: Iterable[Mapping[str, Any]], origin: str, name: str, most: int | None = None) -> Table:
    """The rows of a split of a hub data set, or the first `most` of them."""
    rows = enumerate(islice(split, most), start=1)
    return Table(origin, name, tuple(Row(f"row {number}", number, fields) for number, fields in rows))


def read_file(path: Path, also: Mapping[str, Reader] | None = None) -> Table:
    """Read a .jsonl, .json, .csv, .tsv or .parquet file, or one that `also` reads. Raises `DataError` otherwise."""
    readers = {**_READERS, **(also or {})}
    reader = readers.get(path.suffix.lower())
    try:
        if not path.exists():
            raise DataError(f"{path} does not exist; check the path")
        if not path.is_file():
            raise DataError(f"{path} is not a regular file; name the data file itself")
        if reader is None:
            known = ", ".join(readers)
            raise DataError(f"{path} has the ending {path.suffix!r}; data files end in one of {known}")
        rows = tuple(reader(path))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        raise DataError(f"{path} cannot be read ({error}); check the path and its permissions") from error
    if not rows:
        raise DataError(f"{path} is empty: it holds no rows; write at least one")
    return Table(str(path), read_file_name(path), rows)


def expand_path(text: str, flag: str) -> Path:
    """The path that a flag gives, `~` expanded. Raises `DataError` where it is empty or has no such home."""
    if not text.strip():
        raise DataError(f"{flag} is empty; name the data there")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise DataError(f"{text} cannot be read ({error}); write the path out") from error


def find_file(directory: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that the directory has. Raises `DataError` where it is no directory."""
    try:
        if not directory.exists():
            raise DataError(f"{directory} does not exist; --data takes the directory that holds {names[0]}")
        if not directory.is_dir():
            raise DataError(f"{directory} is a file; --data takes the directory that holds {names[0]}")
        return next((path for name in names if (path := directory / name).exists()), None)
    except (OSError, ValueError) as error:
        raise DataError(f"{directory} cannot be read ({error}); check the path and its permissions") from error


def require_file(directory: Path, names: Sequence[str]) -> Path:
    """As `find_file`, but a missing file is a `DataError`."""
    path = find_file(directory, names)
    if path is None:
        raise DataError(f"{directory} has no data file named {' or '.join(names)}; put one there")
    return path


def read_lines(path: Path) -> Iterator[str]:
    """Lines as UTF-8 text, a byte-order mark taken off, line ends kept."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            place = f"{path}, line {number}"
            if b"\0" in line:
                raise DataError(f"{place}: holds binary data, not text; save the file as UTF-8 text")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = error.start + 1
                raise DataError(f"{place}: byte {byte} is not UTF-8; save the file as UTF-8 text") from error


def _read_jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            place = f"line {number}"
            yield Row(place, number, _require_object(path, place, _parse(path, line.rstrip("\r\n"), number)))


def _read_json(path: Path) -> Iterator[Row]:
    """A list of objects, or JSONL under another name, which is common."""
    text = "".join(read_lines(path))
    if not text.lstrip().startswith("["):
        yield from _read_jsonl(path)
        return
    for number, item in enumerate(_parse(path, text, 1), start=1):
        place = f"item {number}"
        yield Row(place, number, _require_object(path, place, item))


def _parse(path: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}, line {first_line + error.lineno - 1}"
        problem = f"{error.msg}, column {error.colno}"
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond what Python reads
        place, problem = f"{path}, line {first_line}", str(error)
    raise DataError(f"{place}: not valid JSON ({problem}); write one object per row")


def _require_object(path: Path, place: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}, {place}: holds {describe_kind(value)}, not a JSON object; write one object per row")
    return value


def _read_csv(path: Path, delimiter: str = ",") -> Iterator[Row]:
    reader = csv.reader(read_lines(path), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            # A quoted cell may span lines: the row is named by its first one.
            place, number, line = f"line {line}", line, reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = _require_distinct(path, place, cells)
            elif len(cells) != len(header):
                raise DataError(
                    f"{path}, {place}: {len(cells)} cells where the header has {len(header)}; "
                    f"quote cells that hold {delimiter!r} or line ends"
                )
            else:
                yield Row(place, number, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not valid CSV ({error}); check quotes, or use JSONL") from error


def _require_distinct(path: Path, place: str, cells: list[str]) -> list[str]:
    twice = next((cell for cell in cells if cells.count(cell) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, {place}: the header names the column {twice!r} twice; rename one")
    return cells


def _read_tsv(path: Path) -> Iterator[Row]:
    return _read_csv(path, delimiter="\t")


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as stream:
            source = pyarrow.parquet.ParquetFile(stream)
            _require_distinct(path, "schema", source.schema_arrow.names)
            rows = source.read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        first = str(error).partition("\n")[0]
        raise DataError(f"{path}: not a readable Parquet file ({first}); write it again") from error
    for number, fields in enumerate(rows, start=1):
        yield Row(f"row {number}", number, fields)


_READERS: dict[str, Reader] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}


def describe_kind(value: Any) -> str:
    """What a value is, in words for a sentence."""
    if value is None:
        return "null"
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")

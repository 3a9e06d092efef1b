"""Writes files and folders whole or not at all: to a draft beside them, which is synced and takes their place.

A draft is called `.NAME.draft`. A process that is killed leaves it behind, where nothing reads it; `RunStore.tidy`
removes those of a run directory. All functions raise `OSError`, and what was there before is then kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file by a function that fills a binary stream. The file's folder is made if it is not there."""
    draft = make_draft_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draft.unlink(missing_ok=True)  # a link would be written through
        with draft.open("wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    A character that UTF-8 cannot carry, such as half of a broken file name in a message, is written as its escape.
    """
    write(path, lambda stream: stream.write(text.encode("utf-8", "backslashreplace")))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


@contextlib.contextmanager
def draft_folder(path: Path, *, keep: bool = True) -> Iterator[Path]:
    """Give the place of a new folder, to be made and filled, which replaces `path` at the end unless `keep` is false.

    It is removed where the block raises.
    """
    draft = make_draft_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(draft)
    try:
        yield draft
        if keep:
            place_folder(draft, path)
    finally:
        with contextlib.suppress(OSError):
            remove(draft)


def place_folder(made: Path, path: Path) -> None:
    """Sync a folder and all that is in it, and let it take the place of `path`, whatever is there."""
    for folder, _, names in os.walk(made):
        for name in names:
            _sync_file(Path(folder) / name)
        sync_folder(Path(folder))
    old = make_draft_path(path.with_name(f"{path.name}.old"))
    remove(old)
    if os.path.lexists(path):  # a folder cannot be replaced while it holds something
        path.replace(old)
    try:
        made.replace(path)
    except OSError:
        if os.path.lexists(old):
            old.replace(path)
        raise
    sync_folder(path.parent)
    remove(old)


def make_draft_path(path: Path) -> Path:
    """Where a file or folder is written before it takes its place."""
    return path.with_name(f".{path.name}.draft")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power; only POSIX lets a folder be synced, and not on every file system."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            _sync(folder, os.O_RDONLY)


def _sync_file(file: Path) -> None:
    if not file.is_symlink():  # a link holds nothing, and what it leads to is not ours
        _sync(file, os.O_RDONLY if os.name == "posix" else os.O_RDWR)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

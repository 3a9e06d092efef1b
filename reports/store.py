"""A run directory: one JSON file per record, written whole or not at all, beside logs, predictions and artifacts.

    records/ID.json   predictions/ID.jsonl   logs/ID.log   artifacts/ID/   lock

Reading never creates anything. A file that is truncated or foreign is set aside with its reason: never fatal, never
trusted.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from reports.errors import RecordError, StoreError
from reports.record import Record, dump, load

_ID = re.compile(r"[0-9a-f]{16}")


class RunStore:
    """The records of one run directory; it comes into being with the first file that is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def finished(self, trial_id: str) -> Record | None:
        """The record of a trial that ended ok, or `None` where there is none that can be trusted."""
        path = self._path("records", trial_id, ".json")
        if not path.is_file():
            return None
        with contextlib.suppress(RecordError):
            record = _read(path)
            return record if record.ok else None
        return None

    def add(self, record: Record, *, replace: bool = False) -> None:
        """Write a record. Raises `StoreError` if there is one already, unless `replace`, or if it cannot be written."""
        path = self._path("records", record.trial_id, ".json")
        if path.exists() and not replace:
            raise StoreError(f"there is a record of trial {record.trial_id} already")
        write_text(path, dump(record))

    def read(self) -> tuple[list[Record], list[str]]:
        """All records in the order of their ids, and a sentence for each file that is none."""
        records, problems = [], []
        for path in sorted((self.directory / "records").glob("*.json")):
            try:
                record = _read(path)
                if record.trial_id != path.stem:
                    raise RecordError(f"{path.name}: holds the record of another trial, {record.trial_id}")
                records.append(record)
            except RecordError as error:
                problems.append(str(error))
        return records, problems

    def log_path(self, trial_id: str) -> Path:
        """Where a trial's output goes; its folder is made."""
        return self._with_folder(self._path("logs", trial_id, ".log"))

    def predictions_path(self, trial_id: str) -> Path:
        """Where a trial's predictions go, as JSONL."""
        return self._path("predictions", trial_id, ".jsonl")

    def artifacts_path(self, trial_id: str) -> Path:
        """Folder of what a trial ships."""
        return self._path("artifacts", trial_id, "")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the directory. Raises `StoreError` while one is in it."""
        import fcntl  # POSIX; the lock goes when its process does, however that ends

        path = self._with_folder(self.directory / "lock")
        try:
            stream = path.open("a")
        except OSError as error:
            raise StoreError(f"{self.directory} cannot be written ({error.strerror}); choose another --out") from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(
                    f"another process is working in {self.directory}; wait for it, or choose another --out"
                ) from error
            yield

    def _path(self, folder: str, trial_id: str, suffix: str) -> Path:
        if not _ID.fullmatch(trial_id):
            raise StoreError(f"{trial_id!r} is not the id of a trial (16 hexadecimal digits)")
        return self.directory / folder / f"{trial_id}{suffix}"

    def _with_folder(self, path: Path) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} cannot be made ({error.strerror}); choose another --out") from error
        return path


def read_records(directory: Path) -> tuple[list[Record], list[str]]:
    """Records of a run directory and what was set aside. Raises `StoreError` where there are none."""
    if not directory.is_dir():
        raise StoreError(f"{directory} is not a directory; give one that `run` has written")
    records, problems = RunStore(directory).read()
    if not records:
        hint = f" ({problems[0]})" if problems else ""
        raise StoreError(f"{directory} holds no records{hint}; give a directory that `run` has written")
    return records, problems


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: to a draft beside it, synced, then renamed. Raises `StoreError`."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}); what was there before is kept") from error


def _read(path: Path) -> Record:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path.name}: cannot be read ({error})") from error
    return load(text, path.name)

"""A run directory: one JSON file per record, written whole or not at all, beside logs, predictions and artifacts.

    records/ID.json   predictions/ID.jsonl   logs/ID.log   artifacts/ID/   stages/ID/   checkpoints/ID.safetensors
    superseded/   set-aside/   lock

Reading never creates or moves anything. A file that is truncated or foreign is left out with its reason, never fatal,
never trusted, and a run moves it to `set-aside/`. Records that a new try replaces go to `superseded/`; `rerun.json`
lists finished trials that are to be tried again.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Set
from pathlib import Path

from reports.errors import RecordError, StoreError
from reports.records import files
from reports.records.record import Record, dump, load, redact_record

_ID = re.compile(r"[0-9a-f]{16}")
_DRAFTS = (".*.draft", "*/.*.draft", "stages/*/.*.draft", "*/.probe", "predictions/*.tmp")
"""What a killed process leaves: files and folders that were being written, and a probe; `.tmp` by earlier versions."""


class RunStore:
    """The records of one run directory; it comes into being with the first file that is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find_finished(self, trial_id: str) -> Record | None:
        """The record of a trial that ended ok, or `None` where there is none that can be trusted."""
        path = self._path("records", trial_id, ".json")
        if not path.is_file():
            return None
        with contextlib.suppress(RecordError):
            record = _read(path)
            return record if record.ok else None
        return None  # set aside: the trial runs again, and the report names the file

    def add(self, record: Record, *, replace: bool = False) -> None:
        """Write a record. Raises `StoreError` if there is one already, unless `replace`, or if it cannot be written."""
        path = self._path("records", record.trial_id, ".json")
        if path.exists() and not replace:
            raise StoreError(f"there is a record of trial {record.trial_id} already")
        write_text(path, dump(redact_record(record)))

    def renew(self, record: Record) -> None:
        """Write the record of another try; one that is there already is kept in `superseded/`.

        An interrupted rerun does not replace a finished record; the rerun stays pending.
        """
        asked = self.read_rerun_list()
        finished = self.find_finished(record.trial_id) is not None
        if finished and record.status == "interrupted":
            return
        if finished and not record.ok and record.trial_id not in asked:
            write_text(
                self._free(self._path("records", record.trial_id, ".json"), "superseded"), dump(redact_record(record))
            )
            return
        path = self._path("records", record.trial_id, ".json")
        if path.is_file():  # a copy: at no moment is there no record
            write_text(self._free(path, "superseded"), path.read_bytes().decode("utf-8"))
        self.add(record, replace=True)
        if record.trial_id in asked:
            self.write_rerun_list(asked - {record.trial_id})

    def write_rerun_list(self, trial_ids: Set[str]) -> None:
        """Note which finished trials are to run again, so that an interrupted rerun knows which it has not reached."""
        write_text(self.directory / "rerun.json", json.dumps(sorted(trial_ids)) + "\n")

    def read_rerun_list(self) -> Set[str]:
        """Ids of the trials that are to run again although they have a record."""
        try:
            return frozenset(map(str, json.loads((self.directory / "rerun.json").read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            return frozenset()

    def read(self) -> tuple[list[Record], list[str]]:
        """All records in the order of their ids, and a sentence for each file that is none."""
        records, problems = [], []
        for path in sorted((self.directory / "records").glob("*.json")):
            try:
                records.append(_read(path))
            except RecordError as error:
                problems.append(str(error))
        return records, problems

    def tidy(self) -> list[str]:
        """Move files that are no records to `set-aside/`; a sentence for each. What a killed process was writing goes.

        Only for who holds the lock. Raises `StoreError` where the directory cannot be written: better now than when a
        trial has run.
        """
        sentences = []
        for folder in ("records", "predictions", "logs"):
            write_text(self.directory / folder / ".probe", "")
            (self.directory / folder / ".probe").unlink()
        for pattern in _DRAFTS:
            for draft in list(self.directory.glob(pattern)):
                with contextlib.suppress(OSError):
                    files.remove(draft)
        for path in sorted((self.directory / "records").glob("*.json")):
            try:
                _read(path)
            except RecordError as error:
                place = self._move(path, "set-aside")
                sentences.append(f"{error}; moved to {place.relative_to(self.directory)}")
        return sentences

    def remove_links(self, trial_id: str) -> None:
        """Remove what would lead the files of a trial, which is about to write them, to another place."""
        for path in self.directory.glob(f"*/*{self._path('', trial_id, '').name}*"):
            if path.is_symlink():
                path.unlink(missing_ok=True)

    def drop_checkpoint(self, trial_id: str) -> None:
        """Remove what a trial kept in order to go on, and what was set aside of it."""
        path = self.checkpoint_path(trial_id)
        for file in (path, path.with_name(f"{path.name}.damaged"), files.make_draft_path(path)):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def log_name(self, trial_id: str) -> str:
        """The path of a trial's log inside the run directory, as it goes into the record."""
        return self._path("logs", trial_id, ".log").relative_to(self.directory).as_posix()

    def log_path(self, trial_id: str) -> Path:
        """Where a trial's output goes; its folder is made."""
        return self._with_folder(self._path("logs", trial_id, ".log"))

    def checkpoint_path(self, trial_id: str) -> Path:
        """Where a trial in training keeps what it needs to go on."""
        return self._path("checkpoints", trial_id, ".safetensors")

    def predictions_path(self, trial_id: str) -> Path:
        """Where a trial's predictions go, as JSONL."""
        return self._path("predictions", trial_id, ".jsonl")

    def artifacts_path(self, trial_id: str) -> Path:
        """Folder of what a trial ships."""
        return self._path("artifacts", trial_id, "")

    def stages_path(self, trial_id: str) -> Path:
        """Folder of what a staged method leaves for people to inspect."""
        return self._path("stages", trial_id, "")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the directory. Raises `StoreError` while one is in it."""
        path = self._with_folder(self.directory / "lock")
        try:
            stream = path.open("a")
        except OSError as error:
            raise StoreError(f"{self.directory} cannot be written ({error.strerror}); choose another --out") from error
        with stream:
            try:
                _lock(stream.fileno())
            except (BlockingIOError, PermissionError) as error:
                raise StoreError(
                    f"another process is working in {self.directory}; wait for it, or choose another --out"
                ) from error
            except OSError as error:
                raise StoreError(
                    f"{self.directory} is on a file system without locks ({error.strerror}); choose another --out"
                ) from error
            yield

    def _move(self, path: Path, folder: str) -> Path:
        """Move a file of the records to a folder of its own."""
        target = self._free(path, folder)
        try:
            path.rename(target)
            files.sync_folder(target.parent)
        except OSError as error:
            raise StoreError(f"{path} cannot be moved ({error.strerror}); choose another --out") from error
        return target

    def _free(self, path: Path, folder: str) -> Path:
        """A path in a folder, which is made, under a name like the file's that is free there."""
        count = 0
        target = self._with_folder(self.directory / folder / path.name)
        while target.exists():
            count += 1
            target = target.with_name(f"{path.stem}.{count}{path.suffix}")
        return target

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
    """Write a file whole or not at all. Raises `StoreError`."""
    try:
        files.write_text(path, text)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); what was there before is kept") from error


def _read(path: Path) -> Record:
    """The record in a file that bears its id. Raises `RecordError`, which names the file and never its folder."""
    if not _ID.fullmatch(path.stem):
        raise RecordError(f"{path.name}: not named by the id of a trial (16 hexadecimal digits)")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path.name}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path.name}: not UTF-8; the file is damaged or foreign") from error
    record = load(text, path.name)
    if record.trial_id != path.stem:
        raise RecordError(f"{path.name}: holds the record of another trial, {record.trial_id}")
    return record


def _lock(descriptor: int) -> None:
    """Lock a file or raise `OSError` at once; the lock goes when the process does, however that ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""What a staged method tells of itself, measured and kept by the worker."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.measure.meter import Meter
from methods.feedback import Observer
from reports.records import files

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class TrialObserver(Observer):
    """Measures stages as phases `train.NAME`, gathers metrics and details, writes rows to `stages/ID/NAME.jsonl`."""

    def __init__(self, meter: Meter, folder: Path, *, keep_models: bool, tell: Callable[[str], None]) -> None:
        self.told: dict[str, float | None] = {}
        """Metrics that the method gave."""
        self.details_told: dict[str, Any] = {}
        self._meter = meter
        self._folder = folder
        self._keep_models = keep_models
        self._tell = tell

    def begin(self) -> None:
        """Remove what an earlier run of the trial has left, since none of it is gone on from."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage; its name is told to whoever watches."""
        self._tell(_checked(name))
        with self._meter.measure_phase(f"train.{name}"):
            yield

    def metrics(self, values: Mapping[str, float | None]) -> None:
        """Numbers for the record's metrics."""
        self.told.update(values)

    def details(self, values: Mapping[str, Any]) -> None:
        """JSON values for the record's details."""
        for name, value in values.items():
            held = self.details_told.get(name)
            if isinstance(held, dict) and isinstance(value, Mapping):
                self.details_told[name] = {**held, **value}
            else:
                self.details_told[name] = value

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as JSONL, whole or not at all."""
        files.write_json_lines(self._folder / f"{_checked(name)}.jsonl", rows)

    @contextlib.contextmanager
    def keep(self, name: str) -> Iterator[Path | None]:
        """Give a folder for a stage's model, if models are kept; it is there once it is whole."""
        folder = self._folder / _checked(name)
        if not self._keep_models:
            yield None
            return
        with files.draft_folder(folder) as draft:
            draft.mkdir()
            yield draft


def _checked(name: str) -> str:
    """The name of a stage, which becomes a file name. Raises `ValueError` for what no stage should be called."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a stage: lower-case letters, digits and underscores")
    return name

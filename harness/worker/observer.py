"""Records what a method reports while it trains: its stages, metrics, details, rows and intermediate models."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.measure.meter import Meter
from harness.outcome import merge_details
from methods.feedback import Observer
from reports.records import files

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class TrialObserver(Observer):
    """Measures stages as phases `train.NAME`, gathers metrics and details, writes rows to `stages/ID/NAME.jsonl`."""

    def __init__(self, meter: Meter, folder: Path, *, keep_models: bool, on_stage: Callable[[str], None]) -> None:
        self.reported_metrics: dict[str, float | None] = {}
        self.reported_details: dict[str, Any] = {}
        self._meter = meter
        self._folder = folder
        self._keep_models = keep_models
        self._on_stage = on_stage

    def clear_folder(self) -> None:
        """Remove what an earlier run of the trial left; this run starts from the beginning."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside as a stage, and announce its name."""
        self._on_stage(_require_stage_name(name))
        with self._meter.measure_phase(f"train.{name}"):
            yield

    def metrics(self, values: Mapping[str, float | None]) -> None:
        """Numbers for the record's metrics."""
        self.reported_metrics.update(values)

    def details(self, values: Mapping[str, Any]) -> None:
        """JSON values for the record's details."""
        self.reported_details = merge_details(self.reported_details, values)

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as JSONL, whole or not at all."""
        files.write_json_lines(self._folder / f"{_require_stage_name(name)}.jsonl", rows)

    @contextlib.contextmanager
    def keep(self, name: str) -> Iterator[Path | None]:
        """Give a folder for a stage's model, or None if models are not kept. It appears only once it is complete."""
        folder = self._folder / _require_stage_name(name)
        if not self._keep_models:
            yield None
            return
        with files.draft_folder(folder) as draft:
            draft.mkdir()
            yield draft


def _require_stage_name(name: str) -> str:
    """Return the name of a stage, which becomes a file name. Raises `ValueError` for an invalid one."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid stage name: use lower-case letters, digits and underscores")
    return name

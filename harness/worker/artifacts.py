"""Writes what a trial leaves besides its record: the files that its method ships, and its predictions."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.measure.parameters import count_bytes
from harness.request import Places, TrialRequest
from methods.base import Method
from reports.records import files


def ship(method: Method, model: Any, request: TrialRequest, places: Places) -> int:
    """Save the trained model and return its size in bytes. The files are kept only if the request says so."""
    folder = Path(places.artifacts)
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier attempt left
    with files.draft_folder(folder, keep=request.save_models) as draft:
        method.save(model, draft)
        return count_bytes(draft)


def write_predictions(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one line of JSON for each example of the evaluation."""
    files.write_json_lines(path, rows)

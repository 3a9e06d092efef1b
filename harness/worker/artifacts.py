"""What a trial leaves beside its record: the files that its method ships, and its predictions. Whole, or not there."""

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
    """Write what ships, measure it, and keep it only if the request says so. Returns bytes."""
    folder = Path(places.artifacts)
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier try shipped
    with files.draft_folder(folder, keep=request.save_models) as draft:
        method.save(model, draft)
        return count_bytes(draft)


def write_predictions(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one JSON line for each example of the evaluation."""
    files.write_json_lines(path, rows)

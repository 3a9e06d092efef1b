"""What a trial leaves beside its record: the files that its method ships, and its predictions. Whole, or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.measure.parameters import directory_bytes
from harness.request import Places, TrialRequest
from methods.base import Method


def ship(method: Method, model: Any, request: TrialRequest, places: Places) -> int:
    """Write what ships, measure it, and keep it only if the request says so. Returns bytes."""
    folder = Path(places.artifacts)
    draft = folder.with_name(f".{folder.name}.draft")  # a folder that is there counts as whole
    for old in (draft, folder):
        shutil.rmtree(old, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    method.save(model, draft)
    size: int = directory_bytes(draft)
    if request.save_models:
        draft.rename(folder)
    else:
        shutil.rmtree(draft)
    return size


def write_predictions(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one JSON line for each example of the evaluation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    draft.replace(path)

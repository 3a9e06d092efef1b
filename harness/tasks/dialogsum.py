"""DialogSum (Chen et al., Findings of ACL 2021): summaries of everyday dialogues, three references in test.

Reads the hub's copy, or with `--data DIR` the original JSONL layout (or CSV files downloaded from the hub).
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import DataError
from harness.request import TaskRequest
from harness.tasks.base import Task
from harness.tasks.checks import Checked, Columns, check
from harness.tasks.hub_data import read_data_set
from harness.tasks.prompts import DIALOGUE_SUMMARY
from harness.tasks.reading import Table, expand_path, find_file, read_file, read_hub_split, require_file
from harness.tasks.splits import assemble
from methods.types import Limits

HUB_ID = "knkarthick/dialogsum"
LIMITS = Limits(input_tokens=512, target_tokens=128)
"""512 is the length that T5 was trained with; the few longer dialogues are cut, which is counted."""
MOST_VALIDATION = 200
"""Upper bound of a validation split that has to be made."""


def load(request: TaskRequest) -> Task:
    """Build the task. Raises `DataError` for a missing hub or a bad file, `SpecError` for wrong flags."""
    request.refuse("test", "input_field", "target_fields")
    tables = _read_hub() if request.data is None else _read_directory(expand_path(request.data, "--data"))
    checked = {name: _check(table, request) for name, table in tables.items()}
    return assemble(
        request,
        checked["train"],
        checked["test"],
        checked.get("validation"),
        templates=DIALOGUE_SUMMARY,
        limits=LIMITS,
        most=MOST_VALIDATION,
        drop_shared=True,
        merge=True,
    )


def _read_directory(directory: Path) -> dict[str, Table]:
    tables = {name: read_file(require_file(directory, _list_file_names(name))) for name in ("train", "test")}
    if development := find_file(directory, [*_list_file_names("dev"), *_list_file_names("validation")]):
        tables["validation"] = read_file(development)
    return tables


def _list_file_names(stem: str) -> tuple[str, ...]:
    return f"{stem}.jsonl", f"dialogsum.{stem}.jsonl", f"{stem}.csv"


def _read_hub() -> dict[str, Table]:
    splits = read_data_set(HUB_ID, None, f"the data set {HUB_ID}", "--data DIR with train.jsonl and test.jsonl")
    names = ("train", "validation", "test")
    if lacking := [name for name in names if name not in splits]:
        raise DataError(f"{HUB_ID}: no split {lacking[0]!r} (there: {', '.join(splits)}); pass --data DIR")
    return {name: read_hub_split(splits[name], f"{HUB_ID} ({name})", f"{HUB_ID} ({name})") for name in names}


def _check(table: Table, request: TaskRequest) -> Checked:
    numbered = tuple(sorted(name for name in table.fields if re.fullmatch(r"summary[1-9]", name)))
    return check(table, Columns("dialogue", numbered or ("summary",)), allow_unusable=request.allow_unusable)

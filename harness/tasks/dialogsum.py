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
from harness.tasks.prompts import DIALOGUE_SUMMARY
from harness.tasks.reading import Row, Table, find, find_or_fail, path_of, read
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
    tables = _hub() if request.data is None else _directory(path_of(request.data, "--data"))
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


def _directory(directory: Path) -> dict[str, Table]:
    tables = {name: read(find_or_fail(directory, _names(name))) for name in ("train", "test")}
    if development := find(directory, [*_names("dev"), *_names("validation")]):
        tables["validation"] = read(development)
    return tables


def _names(stem: str) -> tuple[str, ...]:
    return f"{stem}.jsonl", f"dialogsum.{stem}.jsonl", f"{stem}.csv"


def _hub() -> dict[str, Table]:
    from datasets import load_dataset

    try:
        splits = load_dataset(HUB_ID)
        return {
            name: Table(
                f"{HUB_ID} ({name})",
                f"{HUB_ID} ({name})",
                tuple(Row(f"row {i}", i, fields) for i, fields in enumerate(splits[name], start=1)),
            )
            for name in ("train", "validation", "test")
        }
    except Exception as error:  # network, authorisation, cache, disk: for the user they are one
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"the data set {HUB_ID} cannot be had from the model hub ({reason}); "
            "check the network and HF_HUB_OFFLINE, or pass --data DIR with train.jsonl and test.jsonl"
        ) from error


def _check(table: Table, request: TaskRequest) -> Checked:
    numbered = tuple(sorted(name for name in table.fields if re.fullmatch(r"summary[1-9]", name)))
    return check(table, Columns("dialogue", numbered or ("summary",)), allow_unusable=request.allow_unusable)

"""The user's own data: a JSONL, JSON, CSV, TSV or Parquet file with an input field and targets."""

from __future__ import annotations

from harness.errors import SpecError
from harness.request import TaskRequest
from harness.tasks.base import Task
from harness.tasks.checks import Columns, check
from harness.tasks.prompts import OWN_DATA
from harness.tasks.reading import expand_path, read_file
from harness.tasks.splits import assemble
from methods.types import Limits

LIMITS = Limits(input_tokens=512, target_tokens=128)
"""As for DialogSum; nothing is known of the data."""
MOST_HELD_OUT = 500
"""Upper bound of a split that has to be made."""


def load(request: TaskRequest) -> Task:
    """Build the task. Raises `DataError` for a bad file or field, `SpecError` for flags that are missing."""
    data, input_field, targets = request.data, request.input_field, request.target_fields
    if not (data and input_field and targets):
        raise SpecError("task 'file' needs --data FILE, --input-field F and --target-field F")
    fields = (input_field, *targets)
    if len(set(fields)) < len(fields):
        raise SpecError(f"--input-field and --target-field name a field twice: {', '.join(fields)}")

    table = read_file(expand_path(data, "--data"))
    test = None
    if request.test is not None:
        test_table = read_file(expand_path(request.test, "--test"))
        test = check(test_table, Columns(input_field, targets), allow_unusable=request.allow_unusable)
        # Training learns the first target; further references need only be in the test file.
        targets = (targets[0], *(name for name in targets[1:] if name in table.fields))
    train = check(table, Columns(input_field, targets), allow_unusable=request.allow_unusable)
    return assemble(
        request,
        train,
        test,
        templates=OWN_DATA,
        limits=LIMITS,
        most=MOST_HELD_OUT,
        drop_shared=request.allow_unusable,
        merge=False,
    )

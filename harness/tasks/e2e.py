"""E2E NLG (Novikova et al., SIGDIAL 2017): restaurant attributes to text, from the original CSV files."""

from __future__ import annotations

from pathlib import Path

from harness.errors import SpecError
from harness.request import TaskRequest
from harness.tasks.base import Task
from harness.tasks.checks import Checked, Columns, check
from harness.tasks.prompts import DATA_TO_TEXT
from harness.tasks.reading import expand_path, find_file, read_file, require_file
from harness.tasks.splits import assemble
from methods.types import Limits

COLUMNS = Columns("mr", ("ref",))
TRAIN = ("train.csv", "trainset.csv")
VALIDATION = ("validation.csv", "dev.csv", "devset.csv")
TEST = ("test.csv", "testset_w_refs.csv")
LIMITS = Limits(input_tokens=192, target_tokens=96)
"""At most 8 attributes and two sentences, with room for the prompt."""
MOST_VALIDATION = 200
"""Upper bound, in rows, of a validation split that has to be made."""


def load(request: TaskRequest) -> Task:
    """Build the task from `--data DIR`. Raises `DataError` for a bad file, `SpecError` for wrong flags."""
    request.refuse("test", "input_field", "target_fields")
    if request.data is None:
        raise SpecError("task 'e2e' needs --data DIR, the directory with train.csv and test.csv")
    directory = expand_path(request.data, "--data")

    def checked(path: Path) -> Checked:
        return check(read_file(path), COLUMNS, allow_unusable=request.allow_unusable)

    development = find_file(directory, VALIDATION)
    return assemble(
        request,
        checked(require_file(directory, TRAIN)),
        checked(require_file(directory, TEST)),
        checked(development) if development else None,
        templates=DATA_TO_TEXT,
        limits=LIMITS,
        most=MOST_VALIDATION,
        drop_shared=True,
        merge=True,
    )

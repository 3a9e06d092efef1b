"""What a task is: the request that names the data, and the examples, prompts and limits that come of it.

A task is built once per process from a `TaskRequest`, and the same request gives the same examples in the
same order everywhere; `Task.fingerprint` proves it. This module imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.request import TaskRequest
from methods.types import Example, Limits


@dataclass(frozen=True)
class Task:
    """Examples of three splits, the prompts that present them, and the sequence limits that suit them."""

    name: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    templates: tuple[str, ...]
    """Phrasings with `{input}` once each; the first one is used in evaluation."""
    limits: Limits
    fingerprint: str
    """SHA-256 over every example of every split, in order; 64 hex digits."""
    unusable: int = 0
    """Rows left out over all files, whatever the reason."""
    note: str | None = None
    """What a reader of results must know of the data: splits made, rows left out. Never a path."""
    left_out: tuple[str, ...] = ()
    """Each row that was left out: file name, line and reason."""

    @property
    def splits(self) -> dict[str, tuple[Example, ...]]:
        """Split name → examples."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def compute_fingerprint(splits: Mapping[str, Sequence[Example]]) -> str:
    """SHA-256 (64 hex digits) over split, id, input and references of every example, in the order given."""
    digest = hashlib.sha256()
    for split, examples in splits.items():
        for example in examples:
            row = json.dumps([split, example.id, example.input, example.references])
            digest.update(row.encode() + b"\n")
    return digest.hexdigest()


def find_problem(task: Any, request: TaskRequest) -> str | None:
    """Why an object is not a valid task for a request, in one sentence; `None` if it is valid."""
    if not isinstance(task, Task):
        return f"the loader gave {type(task).__name__}, not harness.tasks.Task"
    if task.name != request.name:
        return f"it calls itself {task.name!r}"
    for name, examples in task.splits.items():
        if not isinstance(examples, tuple) or not all(isinstance(example, Example) for example in examples):
            return f"{name} is not a tuple of examples"
        if not examples and name != "validation":
            return f"{name} has no examples"
        for example in examples:
            texts = (example.id, example.input, *example.references)
            if not example.references or not all(isinstance(text, str) for text in texts):
                return f"the example {example.id!r} of {name} has no reference, or one of its parts is not text"
        if len({example.id for example in examples}) < len(examples):
            return f"{name} has examples with the same id"
    templates = task.templates if isinstance(task.templates, tuple) else ()
    if not templates or not all(isinstance(text, str) and text.count("{input}") == 1 for text in templates):
        return "its templates are not phrasings with {input} once each"
    if not isinstance(task.limits, Limits) or not all(
        isinstance(tokens, int) and tokens > 0 for tokens in (task.limits.input_tokens, task.limits.target_tokens)
    ):
        return "its limits are not two numbers of tokens above 0"
    if task.fingerprint != compute_fingerprint(task.splits):
        return "its fingerprint is not that of its examples; harness.tasks.splits.build makes a task with the right one"
    return None

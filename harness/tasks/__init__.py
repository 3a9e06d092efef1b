"""Where examples come from: embedded, DialogSum, E2E NLG, or the user's own file.

One entry per task: the name that users type → where its loader lives and what it is. Nothing is imported
until a task is loaded, so listing tasks is cheap. A loader takes a `TaskRequest` and returns a `Task`.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from harness.errors import SpecError
from harness.tasks.base import Task, TaskRequest
from methods.errors import nearest

__all__ = ["TASKS", "Task", "TaskRequest", "load_task", "summaries"]


class _Entry(NamedTuple):
    loader: str
    summary: str


TASKS: dict[str, _Entry] = {
    "embedded": _Entry("harness.tasks.embedded_task:load", "generated dialogues and summaries; needs no files"),
    "dialogsum": _Entry("harness.tasks.dialogsum:load", "DialogSum from the hub, or its files (--data DIR)"),
    "e2e": _Entry("harness.tasks.e2e:load", "E2E NLG, restaurant data to text, from its files (--data DIR)"),
    "file": _Entry("harness.tasks.file:load", "your own data: --data FILE, --input-field F, --target-field F"),
    "toy": _Entry("harness.tasks.toy:load", "twelve tiny examples for tests"),
}


def summaries() -> dict[str, str]:
    """Task name → one line about it; the one that only tests use is left out."""
    return {name: entry.summary for name, entry in TASKS.items() if name != "toy"}


def load_task(request: TaskRequest) -> Task:
    """Load the task that the request names.

    Raises `SpecError` for an unknown name (the nearest are in the sentence) or flags that do not fit the
    task, and `DataError` for data that cannot be used.
    """
    if request.name not in TASKS:
        raise SpecError(f"unknown task {request.name!r}{nearest(request.name, summaries())}")
    module, _, function = TASKS[request.name].loader.partition(":")
    task: Task = getattr(import_module(module), function)(request)
    return task

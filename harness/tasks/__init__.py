"""The table of tasks, which are where examples come from: embedded, DialogSum, E2E NLG, a file, or a plugin's task.

Each entry maps the name that users type to the task's loader and one line about it. A loader is a function that takes a
`TaskRequest` and returns a `Task`; it is imported only when its task is loaded, so that listing tasks is cheap. Other
tasks come from entry points of the group `harness.tasks` and from files that the user names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from harness.errors import DataError, HarnessError, SpecError
from harness.request import TaskRequest
from harness.tasks.base import Task, find_problem
from methods.catalogue import Catalogue
from methods.errors import describe_error_with_type, suggest_names

__all__ = ["CATALOGUE", "TASKS", "Task", "TaskRequest", "load_task", "summaries"]

Loader = Callable[[TaskRequest], Task]


class _Entry(NamedTuple):
    loader: str
    summary: str


TASKS: dict[str, _Entry] = {
    "embedded": _Entry("harness.tasks.embedded.task:load", "generated dialogues and summaries; needs no files"),
    "dialogsum": _Entry("harness.tasks.dialogsum:load", "DialogSum from the hub, or its files (--data DIR)"),
    "e2e": _Entry("harness.tasks.e2e:load", "E2E NLG, restaurant data to text, from its files (--data DIR)"),
    "file": _Entry("harness.tasks.file:load", "your own data: --data FILE, --input-field F, --target-field F"),
    "toy": _Entry("harness.tasks.toy:load", "twelve tiny examples for tests"),
}


def check_loader(name: str, found: Any, origin: str) -> Loader:
    """Return `found` if it can be called with a request; else raise `DataError`."""
    if not callable(found) or isinstance(found, type):
        raise DataError(f"{origin} is not a function that takes a TaskRequest and returns a Task")
    try:
        inspect.signature(found).bind(TaskRequest())
    except TypeError as error:
        raise DataError(f"{origin} does not take one argument, the TaskRequest") from error
    loader: Loader = found
    return loader


def _make_unknown_error(name: str) -> SpecError:
    return SpecError(f"unknown task {name!r}{suggest_names(name, CATALOGUE.origins().keys() - {'toy'})}")


CATALOGUE = Catalogue(
    "task", lambda: {name: entry.loader for name, entry in TASKS.items()}, check_loader, DataError, _make_unknown_error
)


def summarise_tasks() -> dict[str, str]:
    """Task name → one line about it, or why it cannot be used; the task `toy`, for tests, is left out.

    For a plugin's task it is the first line of the loader's docstring.
    """
    told = {name: entry.summary for name, entry in TASKS.items()}
    for name, origins in CATALOGUE.origins().items():
        if name not in told or len(origins) > 1:
            told[name] = _summarise(CATALOGUE.find(name))
    for name, found in CATALOGUE.unreadable():
        told[name] = _summarise(found)
    del told["toy"]
    return told


def _summarise(found: Loader | Exception) -> str:
    if isinstance(found, Exception):
        return f"cannot be used: {found}"
    lines = (inspect.getdoc(found) or "").splitlines()
    return lines[0] if lines else "(no description)"


def load_task(request: TaskRequest) -> Task:
    """Load the task that the request names.

    Raises `SpecError` for an unknown name (the nearest are in the sentence) or flags that do not fit the task, and
    `DataError` for data that cannot be used and for a loader that fails or returns an invalid task.
    """
    load = CATALOGUE.get(request.name)
    if request.name in TASKS:
        return load(request)
    try:
        task = load(request)
    except HarnessError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise DataError(f"the task {request.name!r} cannot be loaded: {describe_error_with_type(error)}") from error
    if wrong := find_problem(task, request):
        raise DataError(f"the task {request.name!r} is invalid: {wrong}")
    return task

"""Twelve tiny examples for tests that only need some task: six to train, two to validate, four to test."""

from __future__ import annotations

from harness.request import TaskRequest
from harness.tasks.base import Task
from harness.tasks.splits import build
from methods.types import Example, Limits

_WORDS = ("apple", "bread", "cheese", "date", "egg", "fig", "grape", "honey", "ice", "jam", "kale", "lemon")


def load(request: TaskRequest) -> Task:
    """Build the task: `I would like some W.` → `W`. Raises `SpecError` for flags that it has no use for."""
    request.refuse("data", "test", "input_field", "target_fields")
    examples = [Example(f"toy-{i}", f"I would like some {word}.", (word,)) for i, word in enumerate(_WORDS)]
    splits = {"train": examples[:6], "validation": examples[6:8], "test": examples[8:]}
    templates = ("What is wanted here? {input}\n", "{input} Name the thing.\n")
    return build(request, splits, templates=templates, limits=Limits(input_tokens=64, target_tokens=8))

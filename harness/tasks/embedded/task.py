"""The embedded task: dialogues and summaries that the project generates, so that nothing need be in reach."""

from __future__ import annotations

from harness.request import TaskRequest
from harness.tasks.base import Task
from harness.tasks.embedded import generate
from harness.tasks.prompts import DIALOGUE_SUMMARY
from harness.tasks.splits import build
from methods.types import Example, Limits

LIMITS = Limits(input_tokens=256, target_tokens=48)


def load(request: TaskRequest) -> Task:
    """Build the task. The data are fixed; `split_seed` draws samples. Raises `SpecError` for wrong flags."""
    request.refuse("data", "test", "input_field", "target_fields")
    splits = {
        name: [
            Example(item.id, item.dialogue, tuple(item.summaries), tuple(item.facts.items())) for item in generate(name)
        ]
        for name in ("train", "validation", "test")
    }
    return build(request, splits, templates=DIALOGUE_SUMMARY, limits=LIMITS)

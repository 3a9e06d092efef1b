"""From a request to what a method that learns from preferences or rewards is given. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.rouge import score
from harness.tasks.base import Task
from methods.feedback import Feedback, Scorer


def feedback_of(request: Mapping[str, Any], task: Task) -> Feedback:
    """The pairs that were given, the reward that was asked for, and the task's own quality metric."""
    return Feedback(quality=rouge_scorer())


def rouge_scorer() -> Scorer:
    """ROUGE-L F1 against the best reference, 0 to 1."""
    return Scorer(
        "rouge",
        lambda prompts, responses, references: [
            row["rougeL"] for row in score(list(responses), [list(texts) for texts in references])
        ],
    )

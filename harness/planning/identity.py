"""Hashes the code on which a trial's predictions depend; this hash is part of the trial id.

The code that scores is not part of the id: scores can be computed again from the predictions. Its hash is stored beside
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.hashing import hash_class
from harness.models.backend import find_backend_module
from methods.base import Method

LOSS_CODE = ("harness.worker.forgetting",)
"""Measures the loss on general text, which like the predictions cannot be computed again without the model."""
ORDER_CODE = ("harness.worker.trial", "harness.worker.evaluation")
"""Say in which order a trial proceeds, and how it is evaluated. They count without their imports, which only measure,
score or write files."""
FEEDBACK_CODE = ("harness.feedback.given_feedback",)
"""Hands pairs and rewards to the methods that learn from them. It counts without its imports, too."""
REWARD_CODE = ("harness.feedback.rewards",)
"""Computes a reward that the user gave, during training."""
SEARCH_CODE = ("harness.scoring.rouge",)
"""Computes the score by which a search chooses knobs."""
LEFT_OUT = frozenset({"methods", "methods.errors", "harness", "harness.errors", "harness.request"})
"""Imports that cannot change a prediction: tables of names, error messages, and types whose values are in the id."""


@dataclass(frozen=True)
class CodeInputs:
    """What a trial is given that brings code of its own into its training or its losses."""

    backend: str
    """The name of what runs the model."""
    rewarded: bool = False
    """Whether the method learns from a reward that was given: then the code that scores steers the training."""
    searched: bool = False
    """Whether a search chose its knobs: likewise."""
    general_text: bool = False
    """Whether forgetting is measured."""


def hash_training_code(cls: type[Method], inputs: CodeInputs) -> str:
    """Hash the code that loads, trains and generates for a method."""
    parts = {REWARD_CODE: inputs.rewarded, SEARCH_CODE: inputs.searched, LOSS_CODE: inputs.general_text}
    modules = [module for code, wanted in parts.items() if wanted for module in code]
    alone = (*ORDER_CODE, *(FEEDBACK_CODE if cls.feedback else ()))
    return hash_class(
        cls, Method, find_backend_module(inputs.backend), *modules, without_imports=alone, leave_out=LEFT_OUT
    )

"""What a trial is: hashes of the code that makes its predictions, which is in its id.

The code that scores is not: scores can be worked out again from the predictions, so its hash is stored beside them.
"""

from __future__ import annotations

from harness.hashing import hash_class
from harness.models.backend import find_backend_module
from methods.base import Method

LOSS_CODE = ("harness.worker.forgetting",)
"""What measures losses on other text; like answers, they cannot be worked out again without the model."""
ORDER_CODE = ("harness.worker.trial",)
"""The order of a trial. What this module imports besides the code above only measures or writes files."""
REWARD_CODE = ("harness.feedback.rewards",)
"""What scores while a method trains on a reward that was given."""
SEARCH_CODE = ("harness.scoring.rouge",)
"""What decides in a search."""
LEFT_OUT = frozenset({"methods", "methods.errors", "harness", "harness.errors", "harness.request"})
"""Imports that no prediction depends on: tables of names, sentences of errors, and types whose values are in the id."""


def hash_training_code(cls: type[Method], backend: str, *, rewarded: bool = False, searched: bool = False) -> str:
    """Hash of the code that a trial's predictions depend on: what loads, trains and generates for this method.

    `backend` names what runs the model; `rewarded` where the method learns from a reward that was given, `searched`
    where a search chose its knobs: then the code that scores steers the training, and counts, too.
    """
    steering = (*(REWARD_CODE if rewarded else ()), *(SEARCH_CODE if searched else ()))
    modules = (find_backend_module(backend), *LOSS_CODE, *steering)
    return hash_class(cls, Method, *modules, alone=ORDER_CODE, leave_out=LEFT_OUT)

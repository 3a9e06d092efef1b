"""Hashes the code on which a trial's predictions depend; this hash is part of the trial id.

The code that scores is not part of the id: scores can be computed again from the predictions. Its hash is stored beside
them.
"""

from __future__ import annotations

from harness.hashing import hash_class
from harness.models.backend import find_backend_module
from methods.base import Method

LOSS_CODE = ("harness.worker.forgetting",)
"""Measures the loss on general text, which like the predictions cannot be computed again without the model."""
ORDER_CODE = ("harness.worker.trial",)
"""Says in which order a trial proceeds. It counts without its imports, which only measure or write files."""
REWARD_CODE = ("harness.feedback.rewards",)
"""Computes a reward that the user gave, during training."""
SEARCH_CODE = ("harness.scoring.rouge",)
"""Computes the score by which a search chooses knobs."""
LEFT_OUT = frozenset({"methods", "methods.errors", "harness", "harness.errors", "harness.request"})
"""Imports that cannot change a prediction: tables of names, error messages, and types whose values are in the id."""


def hash_training_code(cls: type[Method], backend: str, *, rewarded: bool = False, searched: bool = False) -> str:
    """Hash the code that loads, trains and generates for a method.

    `backend` is the name of the model's back end. If the method learns from a given reward (`rewarded`), or a search
    chose its knobs (`searched`), the code that scores influences the training and is hashed too.
    """
    steering = (*(REWARD_CODE if rewarded else ()), *(SEARCH_CODE if searched else ()))
    modules = (find_backend_module(backend), *LOSS_CODE, *steering)
    return hash_class(cls, Method, *modules, without_imports=ORDER_CODE, leave_out=LEFT_OUT)

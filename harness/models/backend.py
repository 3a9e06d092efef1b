"""The interface to whatever runs a model: Transformers, or a toy in tests of the harness.

A trial uses a model through this interface, training aside, so that no other module has to know what kind it is.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from harness.errors import ModelError
from harness.request import Decoding, TrialRequest
from methods.base import Method
from methods.types import Limits, ModelFacts, Text

BACKENDS = {
    "transformers": "harness.models.transformers_backend:TransformersBackend",
    "toy": "harness.models.toy:ToyBackend",
}
"""Name → `module:class`."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, with what belongs to it."""

    model: Any
    tokenizer: Any
    facts: ModelFacts
    dtype: Any
    """Compute dtype, as the back end has it."""


@dataclass(frozen=True)
class Generation:
    """One generated answer."""

    text: str
    tokens: int
    """Tokens generated, the end token included, padding left out."""
    finished: bool
    """Whether an end token came before the length limit."""


class Prompt(Protocol):
    """An example as the model reads it."""

    @property
    def cut(self) -> bool:
        """Whether input or target had to be cut to the limits."""


class Backend(ABC):
    """Loads models, lets them answer, and says how large they are and how well they predict."""

    watched: ClassVar[bool] = True
    """Whether the meter should watch the memory of tensors."""

    @abstractmethod
    def load(self, method: Method, request: TrialRequest, facts: ModelFacts) -> LoadedModel:
        """The base model as the method wants it loaded; random numbers are seeded, so that all adapters start alike."""

    @abstractmethod
    def encode(self, loaded: LoadedModel, texts: Sequence[Text], limits: Limits) -> Sequence[Prompt]:
        """The texts as the model reads them, cut to the limits."""

    @abstractmethod
    def generate(
        self,
        method: Method,
        loaded: LoadedModel,
        prompts: Sequence[Any],
        limits: Limits,
        decoding: Decoding,
        on_progress: Callable[[float], None],
    ) -> list[Generation]:
        """Answers in the order of the prompts; `on_progress` is called with the share that is done."""

    @abstractmethod
    def measure_loss(
        self, loaded: LoadedModel, prompts: Sequence[Any], limits: Limits, batch_size: int
    ) -> list[float] | None:
        """For each example a value whose mean is the loss per target token in nats; `None` where there is no loss."""

    @abstractmethod
    def count_parameters(self, model: Any) -> tuple[int, int]:
        """(trainable, total) parameters."""

    @abstractmethod
    def pause_training(self, loaded: LoadedModel) -> AbstractContextManager[None]:
        """The model in evaluation mode; afterwards its modes and all random numbers are what they were."""


def find_backend(name: str) -> Backend:
    """The back end of this name. Raises `ModelError` where there is none."""
    if name not in BACKENDS:
        raise ModelError(f"unknown back end {name!r}; there is {', '.join(BACKENDS)}")
    backend: Backend = getattr(importlib.import_module(find_backend_module(name)), BACKENDS[name].partition(":")[2])()
    return backend


def find_backend_module(name: str) -> str:
    """The module that a back end is in."""
    return BACKENDS[name].partition(":")[0]

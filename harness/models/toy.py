"""A torch-free stand-in for a model, for tests of everything around training."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.models.backend import Backend, Generation, LoadedModel
from harness.request import Decoding, ModelSource, TrialRequest
from methods.base import Method
from methods.types import Limits, ModelFacts, Text

SOURCE = ModelSource(
    name="toy",
    kind="toy",
    location="",
    revision="1",
    architecture="Toy",
    family="toy",
    dtype="float32",
    note="The toy learns nothing; it tests the harness.",
    backend="toy",
    device="cpu",
    has_loss=False,
)


class ToyModel:
    """Answers with the last words of its input: one more of them with every hundred steps it has seen."""

    parameter_count = 12

    def __init__(self) -> None:
        self.steps = 0

    def learn(self) -> None:
        """Take one step."""
        self.steps += 1

    def answer(self, text: str) -> tuple[str, int]:
        """(answer, its length in words)."""
        words = text.rstrip(".").split()[-1 - self.steps // 100 :]
        return " ".join(words), len(words)

    def requires_grad_(self, wanted: bool) -> ToyModel:
        """Nothing to freeze: there are no gradients."""
        return self

    def save_pretrained(self, directory: Path, **_: Any) -> None:
        """Write what there is to write."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "toy.json").write_text(json.dumps({"steps": self.steps}) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class ToyPrompt:
    """What the toy reads: a text, of any length."""

    text: str
    cut: bool = False


class ToyBackend(Backend):
    """Runs the toy."""

    watched = False

    def load(self, method: Method, request: TrialRequest, facts: ModelFacts) -> LoadedModel:
        """A new toy."""
        random.seed(request.seed)
        return LoadedModel(ToyModel(), None, facts, None)

    def encode(self, loaded: LoadedModel, texts: Sequence[Text], limits: Limits) -> list[ToyPrompt]:
        """The input texts as they are."""
        return [ToyPrompt(text.input) for text in texts]

    def generate(
        self,
        method: Method,
        loaded: LoadedModel,
        prompts: Sequence[ToyPrompt],
        limits: Limits,
        decoding: Decoding,
        on_progress: Callable[[float], None],
    ) -> list[Generation]:
        """The toy's answers."""
        answers = (loaded.model.answer(prompt.text) for prompt in prompts)
        return [Generation(text, tokens, finished=True) for text, tokens in answers]

    def measure_loss(self, loaded: LoadedModel, prompts: Sequence[ToyPrompt], limits: Limits, batch_size: int) -> None:
        """The toy has no probabilities."""

    def count_parameters(self, model: Any) -> tuple[int, int]:
        """All of its parameters train."""
        return model.parameter_count, model.parameter_count

    def pause_training(self, loaded: LoadedModel) -> AbstractContextManager[None]:
        """The toy has no modes and draws no numbers."""
        return contextlib.nullcontext()

"""The held-out evaluation of a trial: what the model answers, and how likely it finds the references.

All that decides on an answer stands here or in what runs the model. Scores are worked out in `harness.scoring`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.models.backend import Backend, LoadedModel
from harness.request import Decoding
from harness.scoring.summary import Evaluation, summarise
from methods.base import Method
from methods.types import Example, Limits


@dataclass(frozen=True)
class Evaluator:
    """Evaluates a model on examples, always with the task's first prompt template."""

    backend: Backend
    method: Method
    loaded: LoadedModel
    templates: Sequence[str]
    limits: Limits
    decoding: Decoding

    def evaluate(self, examples: Sequence[Example], on_progress: Callable[[float], None]) -> Evaluation:
        """Generate for every example, score against all its references, and measure the loss on the first.

        `on_progress` is called with the share of examples that have been answered.
        """
        texts = [self.method.write(example, self.templates, 0) for example in examples]
        prompts = self.backend.encode(self.loaded, texts, self.limits)
        started = time.perf_counter()
        generations = self.backend.generate(self.method, self.loaded, prompts, self.limits, self.decoding, on_progress)
        generating = time.perf_counter() - started
        loss = self.backend.measure_loss(self.loaded, prompts, self.limits, self.decoding.batch_size)
        return summarise(examples, generations, generating, loss, sum(prompt.cut for prompt in prompts))

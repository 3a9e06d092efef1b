"""One method on one tiny model: loaded as the harness loads it, trained, evaluated, saved and read again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.contract import tiny
from harness.models.backend import Generation
from harness.models.transformers_backend import generate
from harness.request import Decoding
from methods import registry
from methods.base import Method
from methods.engine.encoding import Encoded, Encoder
from methods.engine.layers import keep_compute_dtype
from methods.feedback import Feedback, Scorer
from methods.types import Budget, Family, ModelFacts, Setting, StepEvent, TrainingJob

ANSWER_TOKENS = 8
"""Longest answer; enough to see that two differ."""


def facts(family: Family) -> ModelFacts:
    """What a method is told of the tiny model of a family."""
    architectures = {"decoder-only": "LlamaForCausalLM", "encoder-decoder": "T5ForConditionalGeneration"}
    return ModelFacts("tiny", family, architectures[family], "cpu")


def served_families(name: str, settings: Mapping[str, Any] | None = None) -> list[Family]:
    """The families that a method does not call unsupported."""
    method = registry.build(name, settings)
    return [family for family in tiny.FAMILIES if method.unsupported(facts(family)) is None]


@dataclass
class Case:
    """A method with settings on the tiny model of a family; `folder` takes what is written."""

    name: str
    family: Family
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def method(self) -> Method:
        """The method as the registry builds it."""
        return registry.build(self.name, self.settings)

    @property
    def setting(self) -> Setting:
        """What the method is told while it wraps the model."""
        import torch

        return Setting(
            facts(self.family), torch.float32, tiny.tokenizer(), tiny.EXAMPLES, tiny.TEMPLATES, tiny.LIMITS, 0
        )

    def base(self) -> Any:
        """The base model, fresh, as the harness would load it for this method: quantised, where it asks for that."""
        import torch

        model, told = tiny.model(self.family), facts(self.family)
        options = self.method.load_options(told, torch.float32)
        if options:
            model.save_pretrained(self.folder / "base")
            model = type(model).from_pretrained(self.folder / "base", **options).eval()
            keep_compute_dtype(model)
        return model

    def prepared(self) -> Any:
        """A fresh base that the method has wrapped; the same start each time."""
        import torch

        base = self.base()
        torch.manual_seed(0)
        return self.method.prepare(base, self.setting)

    def train(self, model: Any, steps: int) -> list[StepEvent]:
        """Train a prepared model for so many optimiser steps of eight examples; return the step events."""
        import torch

        events: list[StepEvent] = []
        self.method.train(
            TrainingJob(
                model=model,
                tokenizer=tiny.tokenizer(),
                facts=facts(self.family),
                examples=tiny.EXAMPLES,
                validation=tiny.EXAMPLES[:8],
                templates=tiny.TEMPLATES,
                budget=Budget("steps", steps),
                limits=tiny.LIMITS,
                batch_size=8,
                accumulation=1,
                seed=0,
                dtype=torch.float32,
                emit=events.append,
                clock=time.monotonic,
                # For methods that want a reward: a reward model of so few steps would be noise.
                feedback=Feedback(
                    reward=Scorer("length", lambda prompts, responses, _: [float(len(text)) for text in responses])
                ),
            )
        )
        model.eval()
        return events

    @cached_property
    def encoder(self) -> Encoder:
        """Writes the examples in token ids."""
        return Encoder(tiny.tokenizer(), self.family, tiny.LIMITS)

    def logits(self, model: Any) -> Any:
        """What the model predicts for five examples: (5, length, vocabulary)."""
        import torch

        written = [self.method.write(example, tiny.TEMPLATES, 0) for example in tiny.EXAMPLES[:5]]
        batch = self.encoder.training_batch(self.encoder.encode_all(written))
        with torch.no_grad():
            return model(**batch, use_cache=False).logits

    def answers(self, model: Any, batch_size: int) -> list[Generation]:
        """Greedy answers to six prompts of several lengths, so many at a time."""
        decoding = Decoding(max_new_tokens=ANSWER_TOKENS, batch_size=batch_size)
        return generate(self.method, model, self.encoder, self._prompts, decoding, lambda share: None)

    def first_logits(self, model: Any, batch_size: int) -> Any:
        """The logits from which the answers' first tokens are chosen, (6, vocabulary), so many prompts at a time."""
        import torch

        rows = []
        for start in range(0, len(self._prompts), batch_size):
            batch = self.encoder.generation_batch(self._prompts[start : start + batch_size])
            told = {"max_new_tokens": 1, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
            with torch.inference_mode():
                rows.append(self.method.generate(model, batch, **told).logits[0])
        return torch.cat(rows)

    @cached_property
    def _prompts(self) -> list[Encoded]:
        return self.encoder.encode_all([self.method.write(example, tiny.TEMPLATES, 0) for example in tiny.EXAMPLES[:6]])

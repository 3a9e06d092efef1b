"""Jobs on tiny real models, and an observer that remembers what it was told."""

from __future__ import annotations

import contextlib
import time

import pytest

from methods.base import Budget, Example, Limits, ModelFacts, Setting, TrainingJob
from methods.feedback import Feedback, Observer
from methods.registry import build

TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
EXAMPLES = tuple(Example(str(i), f"fox {i} " + "jumps " * (i % 4), ("the lazy dog",)) for i in range(32))
LIMITS = Limits(64, 14)


class Remembering(Observer):
    def __init__(self):
        self.stages, self.numbers, self.told, self.files = [], {}, {}, {}

    @contextlib.contextmanager
    def stage(self, name):
        self.stages.append(name)
        yield

    def metrics(self, values):
        self.numbers.update(values)

    def details(self, values):
        self.told.update(values)

    def rows(self, name, rows):
        self.files[name] = list(rows)


@pytest.fixture
def make_job(tiny_model, tokenizer):
    """A function that makes (method, job): a tiny model, wrapped by the method with these knobs."""

    def make(family="decoder-only", name="rlhf", knobs=None, *, limits=LIMITS, steps=4, feedback=None, **changes):
        import torch

        method = build(name, knobs or {})
        facts = ModelFacts("tiny", family, "Tiny", "cpu")
        torch.manual_seed(0)
        setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, TEMPLATES, limits, 0)
        values = {
            "model": method.prepare(tiny_model(family), setting),
            "tokenizer": tokenizer,
            "facts": facts,
            "examples": EXAMPLES,
            "validation": EXAMPLES[:16],
            "templates": TEMPLATES,
            "budget": Budget("steps", steps),
            "limits": limits,
            "batch_size": 8,
            "accumulation": 1,
            "seed": 0,
            "dtype": torch.float32,
            "emit": lambda event: None,
            "clock": time.monotonic,
            "feedback": feedback or Feedback(),
            "observer": Remembering(),
        }
        return method, TrainingJob(**{**values, **changes})

    return make

"""Every method with a learning curve: it ends with the weights of one that nobody looked at, bit for bit, and what is
evaluated is the policy, whatever else the method trains."""

from __future__ import annotations

import dataclasses
import random

import numpy
import pytest
import torch

from harness.measure.meter import Meter
from harness.models.backend import LoadedModel
from harness.models.transformers_backend import TransformersBackend
from harness.request import CurveRequest, Decoding
from harness.worker.evaluation import Evaluator
from harness.worker.learning_curve import LearningCurve
from harness.worker.stop_signal import StopSignal
from methods.base import Budget
from methods.feedback import Feedback, Scorer

pytestmark = pytest.mark.own

QUALITY = Scorer("length", lambda prompts, responses, references: [len(text) / 100 for text in responses])
STAGED = {"dropout": 0.2, "learning_rate": 1e-2, "warm_start": 0.4, "pairs": 16}
RLHF = {**STAGED, "reward_model": 0.3, "prompts": 4, "reward_learning_rate": 3e-2, "policy_learning_rate": 1e-2}
TUNED = {**STAGED, "preference_learning_rate": 3e-3}
DECODING = Decoding(max_new_tokens=4, batch_size=4)
METHODS = (
    ("lora", {"dropout": 0.2}),
    ("full", {}),
    ("prefix", {}),
    ("rlhf", RLHF),
    ("rlhf", {**RLHF, "peft": "none", "algorithm": "ppo", "updates": 2}),
    ("dpo", TUNED),
    ("kto", {**TUNED, "peft": "none"}),
    ("orpo", TUNED),
    ("cpo", {**TUNED, "peft": "none"}),
    ("simpo", TUNED),
)
FAST = ("lora", "full", "prefix", "orpo")
CASES = [("decoder-only", *method) for method in METHODS] + [
    pytest.param("encoder-decoder", name, knobs, marks=[pytest.mark.slow] if name not in FAST else [])
    for name, knobs in METHODS
    if name not in ("dpo", "kto")
]


@pytest.fixture
def train(make_job):
    """A function that trains a method, with a point every so many steps or with no curve."""

    def train(family, name, knobs, every=None, steps=8):
        method, job = make_job(family, name, knobs, steps=steps, feedback=Feedback(quality=QUALITY))
        torch.manual_seed(0)
        random.seed(0)
        numpy.random.seed(0)
        done = {"steps": 0, "tokens": 0}
        asked = every and CurveRequest(every=Budget("steps", every), examples=3)
        curve, events = LearningCurve(asked, meter := Meter("none"), StopSignal()), []

        class Drawing(Evaluator):
            def evaluate(self, examples, on_progress):
                assert not any(module.training for module in job.model.modules())
                numbers = (torch.rand(1), random.random(), numpy.random.rand())  # which training must not miss
                assert len(numbers) == 3
                return super().evaluate(examples, on_progress)

        loaded = LoadedModel(job.model, job.tokenizer, job.facts, job.dtype)
        evaluator = Drawing(TransformersBackend(), method, loaded, job.templates, job.limits, DECODING)

        def emit(event):
            done.update(steps=event.step, tokens=done["tokens"] + event.tokens)
            events.append(event)
            if event.evaluable:
                curve.after_step(done)

        with meter.measure_phase("train"):
            curve.begin(evaluator, job.validation)
            method.train(dataclasses.replace(job, emit=emit))
            curve.end(done)
        drawn = (float(torch.rand(1)), random.random(), numpy.random.rand())
        after = evaluator.evaluate(job.validation[:3], lambda share: None)
        return job, curve.points, events, after, drawn

    return train


@pytest.mark.parametrize(("family", "name", "knobs"), CASES, ids=str)
def test_a_curve_changes_nothing(train, weights, family, name, knobs):
    plain, nothing, _, _, expected = train(family, name, knobs)
    curved, points, events, after, drawn = train(family, name, knobs, every=1)
    assert weights(curved) == weights(plain)
    assert drawn == expected
    assert nothing == []
    assert [point["step"] for point in points] == [event.step for event in events if event.evaluable]
    assert {event.stage for event in events if not event.evaluable} <= {"reward_model"}
    assert (points[-1]["loss"], points[-1]["rougeL"]) == (after.metrics["heldout_loss"], after.metrics["rougeL"])
    assert len({point["loss"] for point in points}) > 1


@pytest.mark.parametrize("peft", ["lora", "none"])
def test_a_reward_model_is_not_what_is_evaluated(train, peft):
    _, points, events, _, _ = train("decoder-only", "rlhf", {**RLHF, "peft": peft}, every=1)
    of_judge = {event.step for event in events if event.stage == "reward_model"}
    assert of_judge
    assert {point["step"] for point in points} == {event.step for event in events} - of_judge

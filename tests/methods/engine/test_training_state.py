"""Checkpoints of supervised training: killed and resumed, the weights are bit for bit those of one that ran through."""

from __future__ import annotations

import dataclasses
import random

import pytest

from methods.base import Budget, Example, Limits, ModelFacts, Setting, TrainingJob
from methods.engine.training_state import (
    load_optimiser_state,
    pack_states,
    read_optimiser_state,
    read_random_state,
    restore_random_state,
    unpack_states,
)
from methods.registry import build
from methods.types import Checkpoint, State

TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
EXAMPLES = tuple(Example(str(i), f"the fox number {i} " + "jumps " * (i % 5), (f"dog {i}",)) for i in range(30))
LIMITS = Limits(64, 16)


@pytest.fixture
def make_job(tiny_model, tokenizer):
    def make(name, knobs, family="decoder-only", **changes):
        import torch

        facts = ModelFacts("tiny", family, "Tiny", "cpu")
        method = build(name, {"learning_rate": 1e-2, **knobs})
        if reason := method.unsupported(facts):  # for want of a package, or of a newer one
            pytest.skip(reason)
        torch.manual_seed(0)
        setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, TEMPLATES, LIMITS, 0)
        model = method.prepare(tiny_model(family), setting)
        torch.manual_seed(0)
        job = TrainingJob(
            model=model,
            tokenizer=tokenizer,
            facts=facts,
            examples=EXAMPLES,
            validation=(),
            templates=TEMPLATES,
            budget=Budget("steps", 12),
            limits=LIMITS,
            batch_size=4,
            accumulation=1,
            seed=0,
            dtype=torch.float32,
            emit=lambda event: None,
            clock=lambda: 0.0,
        )
        return method, dataclasses.replace(job, **changes)

    return make


@pytest.mark.parametrize("family", ["decoder-only", "encoder-decoder"])
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("full", {"weight_decay": 0.1}),
        ("instruction", {}),
        ("lora", {"dropout": 0.3}),
        ("prefix", {}),
        ("bitfit", {}),
        ("adafactor", {}),
        ("adamw-8bit", {}),
        ("galore", {"rank": 4, "update_proj_gap": 4}),
        ("adalomo", {}),
        ("pissa", {}),
        ("dora", {}),
        ("lora-plus", {"weight_decay": 0.1}),
        ("peft:adalora", {"tinit": 200, "tfinal": 300}),  # scores, ranks and masks change as it goes
        ("peft:p_tuning", {}),
        ("peft:pissa", {}),  # its start is taken out of the base weights
    ],
)
def test_killed_and_resumed_it_ends_with_the_same_weights(make_job, mortal, weights, name, knobs, family):
    method, job = make_job(name, knobs, family)
    before = weights(job)
    method.train(job)
    trial = mortal(lambda: make_job(name, knobs, family), every=3)
    for moment in (2, 5, 8, 8, 11):  # once before anything was kept, and twice at the same place
        assert not trial.run(moment)[1]
    resumed, through = trial.run()
    assert through
    assert trial.steps == [1, 2, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 7, 8, 7, 8, 9, 10, 11, 10, 11, 12]
    assert weights(resumed) == weights(job) != before


def test_what_does_not_train_is_no_part_of_it(make_job, mortal):
    method, job = make_job("lora", {})
    method.train(job)
    trial = mortal(lambda: make_job("lora", {}), every=4)
    trial.run(6)
    adapter = sum(p.numel() * 4 for p in job.model.parameters() if p.requires_grad)
    assert 3 * adapter < trial.file.stat().st_size < 3 * adapter + 60_000  # weights, two moments, and little else


@pytest.mark.parametrize(
    ("budget", "moment"), [(Budget("tokens", 1500), 5), (Budget("epochs", 1.3), 8), (Budget("minutes", 1.05), 5)]
)
def test_other_budgets_are_gone_on_with(make_job, mortal, weights, budget, moment):
    def make():
        seconds = iter(range(0, 10_000, 7))  # from 0 in each process, as a monotonic clock may be
        return make_job("lora", {}, budget=budget, clock=lambda: float(next(seconds)))

    events = []
    method, job = make()
    method.train(dataclasses.replace(job, emit=events.append))
    trial = mortal(make, every=2)
    assert not trial.run(moment)[1]
    resumed, through = trial.run()
    assert through
    assert trial.steps[-1] == events[-1].step > moment
    assert weights(resumed) == weights(job)


def test_after_the_end_of_training_nothing_is_trained_again(make_job, mortal, weights):
    trial = mortal(lambda: make_job("full", {}), every=5)
    first, _ = trial.run()
    size = trial.file.stat().st_size
    second, through = trial.run()
    assert through
    assert trial.steps == list(range(1, 13))
    assert weights(first) == weights(second)
    whole = sum(p.numel() * 4 for p in first.model.parameters())
    assert size < 1.5 * whole  # the optimiser is not kept beyond the last step


def test_a_short_training_keeps_nothing(make_job, mortal):
    trial = mortal(lambda: make_job("lora", {}), every=13)
    trial.run()
    assert not trial.file.exists()


def test_half_the_batch_with_twice_the_passes_may_go_on(make_job, mortal):
    sizes = iter([(4, 1), (2, 2)])

    def make():
        batch_size, accumulation = next(sizes)
        return make_job("lora", {}, batch_size=batch_size, accumulation=accumulation)

    trial = mortal(make, every=3)
    trial.run(8)
    trial.run()
    assert trial.steps == [*range(1, 9), *range(7, 13)]


def test_without_a_checkpoint_nothing_is_asked_for():
    checkpoint = Checkpoint()
    assert checkpoint.kept() is None
    checkpoint.step(lambda: 1 / 0)
    checkpoint.ended(lambda: 1 / 0)


def test_states_come_out_of_one_as_they_went_in():
    import torch

    one, two = State({"a/b": torch.ones(2)}, {"x": [1]}), State({"a": torch.zeros(1)})
    whole = pack_states({"first": pack_states({"one": one}), "second": two})
    assert set(whole.tensors) == {"first/one/a/b", "second/a"}
    found = unpack_states(whole)
    assert list(found) == ["first", "second"]
    assert dict(found["second"].tensors) == two.tensors
    inner = unpack_states(found["first"])["one"]
    assert dict(inner.tensors) == one.tensors
    assert inner.values == one.values


def test_an_optimiser_goes_on_as_it_was():
    import torch

    def steps(count, weight, optimiser):
        for number in range(count):
            optimiser.zero_grad()
            (weight * torch.tensor([1.0, number + 1.0])).square().sum().backward()
            optimiser.step()

    def fresh(values):
        weight = torch.nn.Parameter(torch.tensor(values))
        return weight, torch.optim.AdamW([{"params": [weight]}, {"params": []}], lr=0.1)

    weight, optimiser = fresh([1.0, 2.0])
    steps(3, weight, optimiser)
    other, second = fresh(weight.tolist())
    load_optimiser_state(second, read_optimiser_state(optimiser))
    steps(2, weight, optimiser)
    steps(2, other, second)
    assert torch.equal(weight, other)


def test_random_numbers_go_on_where_they_were():
    import json

    import numpy
    import torch

    def draw():
        return random.random(), random.gauss(0, 1), numpy.random.rand(), numpy.random.randn(), torch.rand(1).item()

    draw()
    state = read_random_state("cpu")
    state = State(dict(state.tensors), json.loads(json.dumps(state.values)))
    expected = [draw(), draw()]
    random.seed(1)
    numpy.random.seed(1)
    torch.manual_seed(1)
    assert draw() != expected[0]
    restore_random_state(state, "cpu")
    assert [draw(), draw()] == expected

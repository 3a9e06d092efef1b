"""Stages: how they share a budget, and going on from another trial."""

from __future__ import annotations

import pytest
import torch

from methods.base import Budget, StepEvent, TrainingJob
from methods.engine.training import train_supervised
from methods.errors import InvalidSettingError
from methods.feedback import Feedback
from methods.registry import build
from methods.rlhf.staged import StageRunner

FAMILIES = ("decoder-only", "encoder-decoder")


def test_stages_share_the_budget_and_count_steps_on(make_job):
    events = []
    _, job = make_job(steps=10, emit=events.append)
    ledger = StageRunner(job)
    for stage, share, steps in (("warm_start", 0.5, 5), ("reward_model", 0.2, 2), ("policy", 0.3, 3)):
        part = ledger.part(stage, share)
        assert part.budget == Budget("steps", steps)
        for step in range(1, steps + 1):
            part.emit(StepEvent(step, step / steps, 1.0, 1e-3, 10, 5, 2))
    assert [event.step for event in events] == list(range(1, 11))
    assert [event.progress for event in events] == pytest.approx([i / 10 for i in range(1, 11)])
    assert [event.stage for event in events] == ["warm_start"] * 5 + ["reward_model"] * 2 + ["policy"] * 3
    assert ledger.left == pytest.approx(0)


@pytest.mark.parametrize("unit", ["epochs", "tokens", "minutes"])
def test_other_budgets_are_split_exactly(make_job, unit):
    _, job = make_job(budget=Budget(unit, 8))
    assert StageRunner(job).part("warm_start", 0.25).budget == Budget(unit, 2.0)


@pytest.mark.parametrize("steps", range(4, 40))
def test_whole_steps_add_up(steps):
    ledger = StageRunner(
        TrainingJob(*[None] * 6, Budget("steps", steps), *[None] * 7)
    )  # of which nothing else is asked
    shares = (0.55, 0.25, ledger.left - 0.8)
    assert sum(ledger.part("policy", share).budget.amount for share in shares) == steps


def test_a_stage_gets_at_least_one_step(make_job):
    _, job = make_job(steps=1)
    assert StageRunner(job).part("policy", 0.1).budget == Budget("steps", 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("peft", "origin"), [("lora", "lora"), ("none", "instruction")])
def test_it_goes_on_from_what_another_trial_shipped(make_job, tmp_path, family, peft, origin):
    first, started = make_job(family, origin, {"learning_rate": 1e-2}, steps=3)
    train_supervised(first, started)
    first.save(started.model, tmp_path)

    method, job = make_job(family, knobs={"peft": peft, "start": origin}, feedback=Feedback(start=tmp_path))
    assert method.starts_from == origin
    ledger = StageRunner(job)
    method._warm_start(ledger)
    assert job.observer.told["warm_start"] == {"from": f"{origin} seed 0"}
    assert ledger.left == pytest.approx(0.35)
    ids = {"input_ids": torch.arange(40, 50).unsqueeze(0)}
    if family == "encoder-decoder":
        ids["decoder_input_ids"] = torch.arange(50, 54).unsqueeze(0)
    with torch.no_grad():
        torch.testing.assert_close(job.model(**ids).logits, started.model.eval()(**ids).logits)


def test_a_start_with_other_knobs_is_refused(make_job, tmp_path):
    first, started = make_job("decoder-only", "lora", {"r": 4})
    first.save(started.model, tmp_path)
    method, job = make_job(knobs={"start": "lora"}, feedback=Feedback(start=tmp_path))
    with pytest.raises(InvalidSettingError, match=r"rlhf.r is 8, but that of lora is 4"):
        method._warm_start(StageRunner(job))


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"start": "instruction"}, "start: must be a variant of lora with peft=lora"),
        ({"start": "lora", "peft": "none"}, "must be a variant of instruction"),
        ({"warm_start": 0}, "warm_start: must be above 0"),
        ({"warm_start": 0.8, "reward_model": 0.2}, "must leave some budget"),
        ({"pairs": 3}, "pairs"),
        ({"samples": 1}, "at least 2"),
        ({"algorithm": "a2c"}, "algorithm"),
    ],
)
def test_wrong_knobs(knobs, sentence):
    with pytest.raises(InvalidSettingError, match=sentence):
        build("rlhf", knobs)

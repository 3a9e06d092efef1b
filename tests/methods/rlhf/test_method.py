"""The whole pipeline on tiny models: its stages, what it tells of them, and how it ends."""

from __future__ import annotations

import math

import pytest
import torch

from methods.errors import RewardError, RewardModelError, UnsupportedError
from methods.feedback import Feedback, Preference, Scorer

from .conftest import EXAMPLES

FAMILIES = ("decoder-only", "encoder-decoder")
QUALITY = Scorer("length", lambda prompts, responses, references: [len(text) / 100 for text in responses])
KNOBS = {
    "warm_start": 0.3,
    "reward_model": 0.5,
    "learning_rate": 3e-2,
    "reward_learning_rate": 3e-2,
    "policy_learning_rate": 1e-2,
    "prompts": 4,
}
PAIRS = tuple(Preference(e.id, e.input, e.target, "cat cat cat") for e in EXAMPLES)
TURNED = tuple(Preference(e.id, e.input, "cat cat cat", e.target) for e in EXAMPLES)


@pytest.fixture
def run(make_job):
    def run(family="decoder-only", knobs=None, feedback=None, **changes):
        events = []
        method, job = make_job(
            family, knobs={**KNOBS, **(knobs or {})}, steps=20, emit=events.append,
            feedback=feedback or Feedback(quality=QUALITY), **changes,
        )  # fmt: skip
        torch.manual_seed(0)
        method.train(job)
        return job, events

    return run


@pytest.mark.parametrize("peft", ["lora", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_stage_is_told_and_measured(run, family, peft):
    rates = {} if peft == "lora" else {"learning_rate": 3e-3, "reward_learning_rate": 3e-3}
    job, events = run(family, {"peft": peft, **rates})
    seen = job.observer
    assert seen.stages == ["warm_start", "preferences", "reward_model", "held_out_start", "policy", "held_out_final"]
    assert [event.step for event in events] == list(range(1, len(events) + 1))
    assert {event.stage for event in events} == {"warm_start", "reward_model", "policy"}
    assert events[-1].progress == 1
    for name in (
        "reward_start", "reward_final", "policy_kl", "policy_entropy", "policy_response_tokens",
        "policy_unended_percent", "pair_accuracy", "pair_margin", "pair_calibration_error", "heldout_quality_start",
        "heldout_quality_final", "preference_accuracy_start", "preference_accuracy_final",
        "sampled_tokens_per_second", "learned_tokens_per_second",
    ):  # fmt: skip
        assert math.isfinite(seen.numbers[name]), name
    assert seen.numbers["pair_accuracy"] >= 0.55
    curve = seen.told["policy"]["curve"]
    assert len(curve) == 4  # a fifth of twenty steps
    assert {"step", "reward", "kl", "entropy", "tokens", "unended_percent", "kl_weight", "loss"} == set(curve[0])
    assert curve[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert len(seen.files["samples"]) == 2 * len(job.validation)
    assert seen.told["preferences"]["derived"]
    assert sum(part["count"] for part in seen.told["reward"]["calibration"]) == len(job.validation) / 2
    if peft == "lora":
        assert list(job.model.peft_config) == ["default"]


def test_a_given_reward_replaces_the_reward_model(run):
    asked = []

    def score(prompts, responses, references):
        asked.append((prompts, references))
        return [float(len(text)) for text in responses]

    job, events = run(feedback=Feedback(quality=QUALITY, reward=Scorer("mine:length", score)))
    assert job.observer.stages == ["warm_start", "held_out_start", "policy", "held_out_final"]
    assert {event.stage for event in events} == {"warm_start", "policy"}
    assert job.observer.told["reward"] == {"name": "mine:length"}
    assert "pair_accuracy" not in job.observer.numbers
    inputs, references = asked[0]
    assert inputs[0] == EXAMPLES[0].input
    assert references[0] == EXAMPLES[0].references


def test_a_given_reward_that_fails_ends_it_with_its_sample(run):
    with pytest.raises(RewardError, match=r"nan"):
        run(feedback=Feedback(reward=Scorer("mine:bad", lambda p, r, f: [math.nan] * len(r))))


def test_given_pairs_are_learned_from_and_measured_on(run):
    job, _ = run(feedback=Feedback(preferences=PAIRS[8:], heldout=PAIRS[:8], quality=QUALITY))
    assert job.observer.told["preferences"] == {
        "derived": False, "note": None, "train": {"given": 24}, "heldout": {"given": 8}, "equal_once_cut": 0,
    }  # fmt: skip
    assert job.observer.numbers["pair_accuracy"] == 1


def test_a_reward_model_that_is_noise_is_not_optimised(run):
    # What it learns from says the opposite of what it is measured on.
    with pytest.raises(RewardModelError, match=r"ranks \d+% of the held-out pairs correctly, less than 55%"):
        run(feedback=Feedback(preferences=PAIRS[8:], heldout=TURNED[:8]))


def test_a_task_without_validation_examples_is_refused(run):
    with pytest.raises(UnsupportedError, match="validation"):
        run(validation=())


def test_the_same_seed_gives_the_same_policy(run):
    def weights(**changes):
        job, _ = run(feedback=Feedback(preferences=PAIRS[8:], heldout=PAIRS[:8]), **changes)
        return torch.cat([p.detach().flatten() for p in job.model.parameters() if p.requires_grad])

    first = weights()
    assert torch.equal(first, weights())
    assert not torch.equal(first, weights(seed=1))


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_other_algorithms_run_the_same_pipeline(run, family, algorithm):
    job, _ = run(family, {"algorithm": algorithm, "kl_target": 0.01})
    curve = job.observer.told["policy"]["curve"]
    assert job.observer.told["policy"]["algorithm"] == algorithm
    assert curve[-1]["kl_weight"] != curve[0]["kl_weight"]  # the adaptive weight moves


@pytest.mark.parametrize("family", FAMILIES)
def test_it_runs_in_mixed_precision(run, family):
    given = Feedback(preferences=PAIRS[8:], heldout=PAIRS[:8], quality=QUALITY)
    job, _ = run(family, feedback=given, dtype=torch.bfloat16)
    assert job.observer.told["policy"]["curve"][0]["kl"] == pytest.approx(0, abs=0.05)
    assert all(math.isfinite(value) for value in job.observer.numbers.values() if value is not None)

"""Staged methods that are killed in every stage, one death after the other, and end with the weights of one that was
left alone, bit for bit, and with the same measurements."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from methods.feedback import Feedback, Preference, Scorer

from .conftest import EXAMPLES

pytestmark = pytest.mark.own

QUALITY = Scorer("length", lambda prompts, responses, references: [len(text) / 100 for text in responses])
KNOBS = {
    "warm_start": 0.3,
    "reward_model": 0.4,
    "learning_rate": 1e-2,
    "reward_learning_rate": 3e-2,
    "policy_learning_rate": 1e-2,
    "dropout": 0.2,
    "prompts": 4,
    "pairs": 24,
}
NONE = {"peft": "none", "learning_rate": 3e-3, "reward_learning_rate": 3e-3}
STAGES = ("preferences", "reward_model", "held_out_start", "policy", "held_out_final")
GIVEN = tuple(Preference(e.id, e.input, e.target, "cat cat cat") for e in EXAMPLES)
TIMES = {"sampled_tokens_per_second", "learned_tokens_per_second"}


@pytest.fixture
def die(make_job, mortal, weights):
    """Run a method to its end, and once more while it dies at each of the moments; the two are to be alike.

    Gives the steps that were taken by the one that died.
    """

    def die(name, family, knobs, moments, *, steps=20, every=2, feedback=None, **changes):
        def make():
            method, job = make_job(
                family, name, knobs, steps=steps, feedback=feedback or Feedback(quality=QUALITY), **changes
            )
            torch.manual_seed(0)
            return method, job

        method, alone = make()
        last: list[int] = []
        alone = dataclasses.replace(alone, emit=lambda event: last.append(event.step))
        method.train(alone)
        trial = mortal(make, every)
        for moment in moments:
            assert not trial.run(moment)[1], moment
        killed, through = trial.run()
        assert through
        assert weights(killed) == weights(alone)
        first, second = alone.observer, killed.observer
        assert {**second.numbers, **dict.fromkeys(TIMES)} == {**first.numbers, **dict.fromkeys(TIMES)}
        assert second.told == first.told
        assert second.files.get("samples") == first.files.get("samples")
        assert trial.steps[-1] == last[-1]
        return trial.steps

    return die


@pytest.mark.parametrize(
    ("family", "knobs"),
    [
        ("decoder-only", {"algorithm": "rloo"}),
        ("encoder-decoder", {"algorithm": "rloo", "updates": 2, **NONE}),
        ("decoder-only", {"algorithm": "grpo", "kl_target": 0.01, **NONE}),
        ("encoder-decoder", {"algorithm": "grpo", "supervised_weight": 0.5}),
        ("decoder-only", {"algorithm": "ppo", "kl_target": 0.01, "updates": 2}),
        ("encoder-decoder", {"algorithm": "ppo", **NONE}),
    ],
    ids=str,
)
def test_rlhf_dies_in_every_stage(die, family, knobs):
    # Twenty steps: six of the warm start, eight of the reward model, six of the policy.
    moments = (1, 5, *STAGES[:2], 11, *STAGES[2:4], 17, 19, STAGES[4])
    steps = die("rlhf", family, {**KNOBS, **knobs}, moments)
    assert steps.count(4) == 1  # a step after which a checkpoint was written
    assert steps.count(10) == 2  # one of a stage that begins again


def test_rlhf_with_a_budget_in_tokens(die):
    from methods.base import Budget

    budget, knobs = Budget("tokens", 9000), {**KNOBS, "warm_start": 0.2}
    die("rlhf", "decoder-only", knobs, (2, "reward_model", "policy", "held_out_final"), every=1, budget=budget)


def test_given_pairs_and_a_given_reward(die):
    reward = Scorer("mine", lambda prompts, responses, references: [float(text.count("the")) for text in responses])
    given = Feedback(preferences=GIVEN[8:], heldout=GIVEN[:8], reward=reward, quality=QUALITY)
    moments = (3, "preferences", "held_out_start", 6)
    die("rlhf", "decoder-only", KNOBS, moments, steps=12, feedback=given)


@pytest.mark.parametrize(
    ("name", "family", "knobs"),
    [
        ("dpo", "decoder-only", {}),
        ("dpo", "decoder-only", {"peft": "none"}),
        ("kto", "decoder-only", {}),
        ("orpo", "encoder-decoder", {}),
        ("cpo", "decoder-only", {"peft": "none"}),
        ("simpo", "encoder-decoder", {}),
    ],
    ids=str,
)
def test_the_relatives_die_in_every_stage(die, name, family, knobs):
    knobs = {"warm_start": 0.5, "learning_rate": 3e-3, "preference_learning_rate": 1e-3, "pairs": 16, **knobs}
    moments = (3, "preferences", "held_out_start", "preference_tuning", 6, "held_out_final")
    die(name, family, knobs, moments, steps=8)

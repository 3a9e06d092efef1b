"""Measurements of a policy on held-out prompts against values known beforehand."""

from __future__ import annotations

import pytest
import torch

from methods.engine.encoding import Encoder
from methods.feedback import Feedback, Scorer
from methods.rlhf.heldout import (
    PolicyEvaluator,
    compare_policies,
    list_side_by_side,
    measure_agreement,
    measure_preference_accuracy,
)
from methods.rlhf.roles import REFERENCE, Roles


def test_agreement_by_hand():
    rewards = torch.tensor([1.0, 2.0, 5.0, 3.0, 1.0, 1.0, 9.0, 0.0])
    # Alike; not alike; a tie of rewards counts half; qualities too close to tell apart count nothing.
    qualities = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.5, 0.1, 0.500, 0.505])
    assert measure_agreement(rewards, qualities) == pytest.approx(1.5 / 3)
    assert measure_agreement(rewards, torch.zeros(8)) is None


@pytest.fixture
def measure(make_job):
    def make(family="decoder-only"):
        scorer = Scorer("length", lambda prompts, responses, references: [len(text) / 100 for text in responses])
        method, job = make_job(family, feedback=Feedback(quality=scorer))
        roles = Roles(job.model)
        roles.keep(REFERENCE)
        encoder = Encoder(job.tokenizer, family, job.limits)
        return job, PolicyEvaluator(
            method, job, roles, encoder, lambda examples, rollouts: rollouts.mask.sum(1).float()
        )  # the reward is the length in tokens

    return make


@pytest.mark.parametrize("family", ["decoder-only", "encoder-decoder"])
def test_the_same_policy_measures_the_same_and_draws_no_dice(measure, family):
    job, measured = measure(family)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, second = measured(), measured()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.rows == second.rows
    assert len(first.rewards) == 2 * len(job.validation)
    assert first.tokens == pytest.approx(float(first.rewards.mean()))
    assert 0 <= first.unended_percent <= 100
    assert first.kl == pytest.approx(0, abs=1e-5)
    told = compare_policies(first, second)
    assert told["reward_start"] == told["reward_final"] == pytest.approx(first.tokens)
    assert told["reward_gain_sd"] == (0 if first.rewards.std() > 0 else None)
    assert len(list_side_by_side(first, second)) == len(first.rewards)


def test_a_gain_is_in_standard_deviations_of_the_start(measure):
    import dataclasses

    _, measured = measure()
    start = dataclasses.replace(measured(), rewards=torch.tensor([1.0, 3.0]))  # standard deviation √2
    final = dataclasses.replace(start, rewards=torch.tensor([4.0, 4.0]))
    assert compare_policies(start, final)["reward_gain_sd"] == pytest.approx(2 / 2**0.5)


@pytest.mark.parametrize("family", ["decoder-only", "encoder-decoder"])
def test_preference_accuracy_is_about_log_probability_per_token(make_job, family):
    from methods.engine.encoding import Encoded

    _, job = make_job(family, knobs={"peft": "none"})
    encoder = Encoder(job.tokenizer, family, job.limits)
    job.model.get_output_embeddings().weight.data.zero_()
    bias = torch.zeros(job.model.config.vocab_size)
    bias[50], bias[60] = 5.0, -5.0
    job.model.get_output_embeddings().register_forward_hook(lambda module, inputs, output: output + bias)
    good, bad, long = Encoded([40], [50], False), Encoded([40], [60], False), Encoded([40, 41], [50] * 5, False)
    pairs = [(good, bad), (bad, good), (good, long), (long, bad)]
    # The third is a tie per token, whatever the length.
    assert measure_preference_accuracy(job.model, job, encoder, pairs) == pytest.approx(2.5 / 4)
    assert measure_preference_accuracy(job.model, job, encoder, []) is None

"""Policy optimisation: what it learns, and what it must leave alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from methods.base import Limits
from methods.engine.encoding import Encoder
from methods.errors import DivergedError
from methods.rlhf.heldout import PolicyEvaluator
from methods.rlhf.policy import PolicyOptimiser, thin_out
from methods.rlhf.roles import REFERENCE, Roles

pytestmark = pytest.mark.own

FAMILIES = ("decoder-only", "encoder-decoder")
ALGORITHMS = ("rloo", "grpo", "ppo")
TOKEN = 65
FREE = {"kl": 0.0, "end_penalty": 0.0, "schedule": "constant", "warmup": 0.0}


def count_of_token(examples, rollouts):
    """Share of a response's places that hold one token: 1 is the maximum."""
    return ((rollouts.responses == TOKEN) & rollouts.mask.bool()).float().sum(1) / rollouts.responses.shape[1]


def optimiser(make_job, family, reward, *, steps, may_end=False, **knobs):
    method, job = make_job(family, knobs={**FREE, **knobs}, steps=steps, limits=Limits(64, 6))
    # An end token would end the game: the toy is about six choices of one of a few tokens.
    bias = torch.zeros(job.model.config.vocab_size)
    bias[:60] = bias[70:] = -20.0
    bias[job.tokenizer.eos_token_id] = 0.0 if may_end else -20.0
    head = job.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: output + bias)
    roles = Roles(job.model)
    roles.keep(REFERENCE)
    encoder = Encoder(job.tokenizer, family, job.limits)
    torch.manual_seed(0)
    return PolicyOptimiser(method, job, roles, encoder, reward), PolicyEvaluator(method, job, roles, encoder, reward)


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("peft", ["lora", "none"])
def test_a_bandit_is_learned(make_job, family, algorithm, peft):
    rate = 2e-2 if peft == "lora" else 4e-3
    learner, measure = optimiser(
        make_job, family, count_of_token, steps=40, algorithm=algorithm, peft=peft, policy_learning_rate=rate
    )
    before = float(measure().rewards.mean())
    learner.run()
    after = measure()
    assert before < 0.5
    assert float(after.rewards.mean()) >= 0.9
    assert after.kl > 0.5
    assert learner.curve[0]["kl"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("peft", ["lora", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_unchanged_policy_has_a_kl_of_zero(make_job, family, peft):
    _, measure = optimiser(make_job, family, count_of_token, steps=1, peft=peft)
    assert measure().kl == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_heavy_penalty_holds_the_policy(make_job, algorithm):
    kls = []
    for weight in (0.0, 1e4):
        learner, measure = optimiser(
            make_job,
            "decoder-only",
            count_of_token,
            steps=20,
            algorithm=algorithm,
            kl=weight,
            policy_learning_rate=5e-3,
        )
        before = float(measure().rewards.mean())
        learner.run()
        after = measure()
        kls.append(after.kl)
    assert float(after.rewards.mean()) == pytest.approx(before, abs=0.1)
    assert kls[1] < 0.05 * kls[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_constant_reward_teaches_nothing(make_job, algorithm):
    learner, _ = optimiser(
        make_job, "decoder-only", lambda examples, rollouts: torch.ones(len(rollouts)), steps=5, algorithm=algorithm
    )
    before = weights(learner.job.model)
    learner.run()
    for name, value in weights(learner.job.model).items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)


def test_the_penalty_for_no_end_teaches_to_end(make_job):
    learner, _ = optimiser(
        make_job, "decoder-only", lambda examples, rollouts: torch.zeros(len(rollouts)), steps=25, may_end=True,
        end_penalty=1.0, policy_learning_rate=1e-2,
    )  # fmt: skip
    learner.run()
    assert learner.curve[0]["unended_percent"] > 20
    assert learner.curve[-1]["unended_percent"] < 5
    assert learner.curve[-1]["tokens"] < learner.curve[0]["tokens"]


def test_a_supervised_loss_beside_the_policys_teaches_the_references(make_job):
    from methods.engine.loss import compute_loss

    losses = {}
    for weight in (0.0, 1.0):
        learner, _ = optimiser(
            make_job, "decoder-only", lambda examples, rollouts: torch.ones(len(rollouts)), steps=8,
            supervised_weight=weight, policy_learning_rate=1e-2, may_end=True,
        )  # fmt: skip
        job = learner.job
        texts = [learner.method.write(example, job.templates, 0) for example in job.examples]
        batch = learner.encoder.training_batch(learner.encoder.encode_all(texts))
        before = compute_loss(job.model, batch).item()
        learner.run()
        losses[weight] = compute_loss(job.model, batch).item() - before
    assert losses[0.0] == pytest.approx(0, abs=1e-4)
    assert losses[1.0] < -0.5


def test_a_response_is_worth_what_the_policy_is_told_of_it(make_job):
    seen = []

    def reward(examples, rollouts):
        seen.append(([example.id for example in examples], list(rollouts.texts)))
        return torch.arange(len(rollouts), dtype=torch.float32)

    learner, _ = optimiser(make_job, "decoder-only", reward, steps=2, prompts=3, samples=2)
    learner.run()
    for names, texts in seen:
        assert len(names) == len(texts) == 6
        assert names[0::2] == names[1::2]


def test_steps_are_counted_by_the_budget(make_job):
    events = []
    learner, _ = optimiser(make_job, "decoder-only", count_of_token, steps=5, updates=2)
    learner.job = dataclasses.replace(learner.job, emit=events.append)
    learner.run()
    assert [event.step for event in events] == [1, 2, 3, 4, 5]
    assert events[-1].progress == 1
    assert len(learner.curve) == 3  # two updates on each of the first two batches, one on the third
    assert learner.speed.sampled_tokens == 3 * 8 * 4 * 6
    assert all(event.tokens > 8 * 4 * 6 for event in events)


def test_a_reward_that_is_not_finite_ends_it(make_job):
    learner, _ = optimiser(
        make_job, "decoder-only", lambda examples, rollouts: torch.full((len(rollouts),), torch.nan), steps=3
    )
    with pytest.raises(DivergedError, match="step 1"):
        learner.run()


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    curve = [{"step": i} for i in range(1001)]
    found = thin_out(curve)
    assert (len(found), found[0], found[-1]) == (200, curve[0], curve[-1])
    assert thin_out(curve[:7]) == curve[:7]

"""The reward model: what it reads, its loss, its scores, and that it learns what can be learned."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from methods.base import Budget
from methods.engine.encoding import Encoder
from methods.feedback import Preference
from methods.rlhf import pairs, reward_model, trainer
from methods.rlhf.reward_model import RewardModel, TrainedRewardModel, score_pairs
from methods.rlhf.roles import REWARD, Roles

from .conftest import EXAMPLES

FAMILIES = ("decoder-only", "encoder-decoder")
PAIRS = [Preference(e.id, e.input, e.target, e.target.replace("dog", "cat cat"), "given") for e in EXAMPLES]


@pytest.fixture(params=[(family, peft) for family in FAMILIES for peft in ("lora", "none")], ids=str)
def setting(request, make_job):
    """(job, roles, encoder, encoded pairs, family)."""
    family, peft = request.param
    method, job = make_job(family, knobs={"peft": peft})
    encoder = Encoder(job.tokenizer, family, job.limits)
    return job, Roles(job.model), encoder, pairs.encode_pairs(method, encoder, job.templates, PAIRS), family


def make(job, roles, family):
    roles.keep(REWARD)
    torch.manual_seed(7)
    with roles.playing(REWARD) as body:
        return RewardModel(body, family, job.tokenizer.pad_token_id)


def by_hand(model, row, family):
    """The head on the hidden state that has seen the whole response, in a forward pass without padding."""
    body = model.body
    with torch.no_grad():
        if family == "encoder-decoder":
            decoder = torch.tensor([[model.start_token, *row.response]])
            output = body(input_ids=torch.tensor([row.prompt]), decoder_input_ids=decoder, output_hidden_states=True)
            state = output.decoder_hidden_states[-1][0, -1]
        else:
            output = body(input_ids=torch.tensor([row.prompt + row.response]), output_hidden_states=True)
            state = output.hidden_states[-1][0, -1]
        return float(model.head.weight[0] @ state + model.head.bias[0])


def test_a_reward_is_the_heads_value_at_the_end_of_the_response(setting):
    job, roles, encoder, encoded, family = setting
    model = make(job, roles, family)
    rows = [row for pair in encoded[:5] for row in pair]
    found = TrainedRewardModel(model, roles, encoder, job).score(rows)
    with roles.playing(REWARD):
        expected = [by_hand(model, row, family) for row in rows]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert len({round(value, 3) for value in expected}) > 1


def test_the_loss_of_a_pair_is_bradley_terrys(setting):
    import trl

    job, roles, encoder, encoded, family = setting
    model = make(job, roles, family)
    with roles.playing(REWARD):
        chosen, rejected = (by_hand(model, row, family) for row in encoded[0])
    expected = -math.log(1 / (1 + math.exp(rejected - chosen)))
    events = []
    one = dataclasses.replace(job, budget=Budget("steps", 1), batch_size=1, emit=events.append)
    rows = [{"chosen_ids": encoded[0][0].response, "rejected_ids": encoded[0][1].response}]
    with roles.playing(REWARD, train=True):
        trainer.run_trainer(
            trl.RewardTrainer, trl.RewardConfig, one, make_config(), model, rows, settings={"max_length": None},
            collate=lambda items: model.batch(encoder, list(encoded[0])),
        )  # fmt: skip
    (event,) = events
    assert event.loss == pytest.approx(expected, rel=1e-4)
    assert event.examples == 2
    real = sum(len(row.prompt) + len(row.response) + (family == "encoder-decoder") for row in encoded[0])
    assert event.tokens == real


def make_config():
    from methods.base import TrainingConfig

    return TrainingConfig(learning_rate=1e-3)


def test_it_learns_to_tell_dogs_from_cats_and_leaves_the_policy_alone(setting):
    job, roles, encoder, encoded, _ = setting
    events = []
    part = dataclasses.replace(job, budget=Budget("steps", 30), emit=events.append)
    before = {name: p.detach().clone() for name, p in job.model.named_parameters()}
    rates = dataclasses.replace(make_config(), learning_rate=3e-2 if roles.adapters else 3e-3)
    judge, scores, curve = reward_model.train_reward_model(
        part, roles, encoder, rates, encoded[8:], encoded[:8], PAIRS[:8]
    )
    assert scores.accuracy == 1  # of the half that chose nothing
    assert scores.by_origin == {"given": 1}
    assert judge.evaluate(encoded[:8], PAIRS[:8]).accuracy == 1  # the best weights are back
    assert curve[0]["loss"] > curve[-1]["loss"]
    assert [point["step"] for point in curve] == list(range(1, len(events) + 1))
    for name, value in before.items():
        assert torch.equal(job.model.get_parameter(name), value), name


def test_it_stops_when_accuracy_no_longer_rises(setting):
    job, roles, encoder, encoded, _ = setting
    part = dataclasses.replace(job, budget=Budget("steps", 60))
    rates = dataclasses.replace(make_config(), learning_rate=1e-9)  # nothing is learned, so nothing rises
    _, _, curve = reward_model.train_reward_model(part, roles, encoder, rates, encoded[8:], encoded[:8], PAIRS[:8])
    measured = [point for point in curve if point["accuracy"] is not None]
    assert len(measured) == 1 + reward_model.PATIENCE
    assert len(curve) < 60


def test_the_weights_that_are_kept_are_the_reward_models_own(setting, tmp_path):
    from safetensors.torch import load_file

    job, roles, encoder, _, family = setting
    model = make(job, roles, family)
    TrainedRewardModel(model, roles, encoder, job).keep(tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    assert torch.equal(kept["head.weight"], model.head.weight)
    if roles.adapters:
        assert all(name.startswith("head.") or ".reward." in name for name in kept)


def test_scores_by_hand():
    # Right, wrong, tie, right. Confidences: sigmoid of 2, 1, 0 and 4.
    found = score_pairs(torch.tensor([2.0, -1.0, 0.0, 4.0]), ["a", "a", "b", "b"])
    assert found.accuracy == pytest.approx(2.5 / 4)
    assert found.margin == pytest.approx(5 / 4)
    assert found.by_origin == {"a": 0.5, "b": 0.75}
    sigmoid = [1 / (1 + math.exp(-value)) for value in (2, 1, 0, 4)]
    gaps = [abs(sigmoid[0] - 1), abs(sigmoid[1] - 0), abs(sigmoid[2] - 0.5), abs(sigmoid[3] - 1)]
    assert found.calibration_error == pytest.approx(sum(gaps) / 4, abs=1e-6)
    assert sum(part["count"] for part in found.bins) == 4


def test_a_judge_that_is_sure_and_right_is_calibrated():
    found = score_pairs(torch.full((50,), 20.0), ["x"] * 50)
    assert (found.accuracy, found.calibration_error) == (1, pytest.approx(0, abs=1e-6))


def test_rewards_are_float32_in_mixed_precision(setting):
    job, roles, encoder, encoded, family = setting
    model = make(job, roles, family)
    batch = model.batch(encoder, [encoded[0][0]])
    with roles.playing(REWARD), torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(**batch).logits.dtype == torch.float32


def test_halves_share_no_prompt_and_lose_no_pair():
    pairs = [Preference(str(i), f"prompt {i // 3}", "a", "b") for i in range(10)]
    first, second = reward_model.split_in_halves(pairs)
    assert sorted(first + second) == list(range(10))
    assert not {pairs[i].prompt for i in first} & {pairs[i].prompt for i in second}
    assert abs(len(first) - len(second)) <= 3
    assert reward_model.split_in_halves(pairs[:2]) == ([0, 1], [0, 1])

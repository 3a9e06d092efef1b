"""Advantages and KL estimates against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from methods.rlhf.advantages import (
    KLController,
    estimate_generalised_advantages,
    estimate_kl,
    normalise_by_group,
    put_at_last_token,
    subtract_leave_one_out_mean,
    whiten,
)


def test_leave_one_out():
    # First prompt: 1 against the mean of 2 and 6, which is 4; 2 against 3.5; 6 against 1.5.
    rewards = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0])
    assert subtract_leave_one_out_mean(rewards, 3).tolist() == pytest.approx([-3, -1.5, 4.5, 0, 0, 0])


def test_group_normalisation():
    # Mean 2, standard deviation (n − 1) of 1 and 3 is √2.
    found = normalise_by_group(torch.tensor([1.0, 3.0, 7.0, 7.0]), 2)
    assert found.tolist() == pytest.approx([-1 / math.sqrt(2), 1 / math.sqrt(2), 0, 0], abs=1e-5)


def test_whitening():
    assert whiten(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1, 1], abs=1e-5)
    assert whiten(torch.tensor([2.0, 2.0])).tolist() == [0, 0]
    assert whiten(torch.full((20,), 1000.3)).tolist() == [0] * 20  # whose mean is rounded
    masked = whiten(torch.tensor([[1.0, 3.0], [100.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert masked.tolist() == [pytest.approx([-1, 1], abs=1e-5), [0, 0]]


def test_a_reward_stands_at_the_last_token():
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert put_at_last_token(torch.tensor([5.0, 7.0]), mask).tolist() == [[0, 5, 0], [0, 0, 7]]


def test_generalised_advantages():
    # λ = 0.5, no discount. Token 3: 1 − 0.5 = 0.5. Token 2: 0 + 0.5 − 0.2 = 0.3, plus half of 0.5 = 0.55.
    # Token 1: 0 + 0.2 − 0.1 = 0.1, plus half of 0.55 = 0.375.
    rewards, values = torch.tensor([[0.0, 0.0, 1.0, 9.0]]), torch.tensor([[0.1, 0.2, 0.5, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    advantages, returns = estimate_generalised_advantages(rewards, values, mask, 1.0, 0.5)
    assert advantages[0].tolist() == pytest.approx([0.375, 0.55, 0.5, 0])
    assert returns[0].tolist() == pytest.approx([0.475, 0.75, 1.0, 0])


def test_with_lambda_one_a_return_is_the_sum_of_what_follows():
    rewards, values = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[3.0, -1.0, 0.5]])
    _, returns = estimate_generalised_advantages(rewards, values, torch.ones(1, 3), 1.0, 1.0)
    assert returns[0].tolist() == pytest.approx([7, 6, 4])


def test_the_low_variance_estimate_of_kl():
    same = torch.tensor([-1.0, -2.0])
    assert estimate_kl(same, same).tolist() == [0, 0]
    # Policy e times as probable: x = 1, e⁻¹ − 1 + 1.
    assert estimate_kl(torch.tensor(-1.0), torch.tensor(-2.0)).item() == pytest.approx(math.exp(-1))
    # Its mean over samples of the policy is the KL divergence itself.
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    mean = (policy * estimate_kl(policy.log(), reference.log())).sum()
    assert mean.item() == pytest.approx((policy * (policy / reference).log()).sum().item())


def test_an_adaptive_weight_goes_towards_its_target():
    fixed = KLController(0.1, None)
    fixed.update(50)
    assert fixed.coefficient == 0.1
    adaptive = KLController(0.1, 2.0, horizon=100)
    adaptive.update(2.0)
    assert adaptive.coefficient == pytest.approx(0.1)
    adaptive.update(2.2)  # a tenth above: up by a tenth of 0.1
    assert adaptive.coefficient == pytest.approx(0.101)
    adaptive.update(100)  # the error is bounded by a fifth
    assert adaptive.coefficient == pytest.approx(0.101 * 1.02)
    adaptive.update(0)
    assert adaptive.coefficient == pytest.approx(0.101 * 1.02 * 0.98)

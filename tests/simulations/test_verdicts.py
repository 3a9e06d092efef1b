"""A small version of the simulations, with bounds as wide as so few of them err (three standard errors)."""

from __future__ import annotations

import pytest

from .verdicts import CASES, equal, family, power

SIMULATIONS = 400
pytestmark = pytest.mark.slow


def error(rate: float) -> float:
    return 3 * (rate * (1 - rate) / SIMULATIONS) ** 0.5


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("case", ["large spread of seeds, methods × examples", "like ROUGE, small spread of seeds"])
def test_equal_methods(case, seeds):
    rates = equal(CASES[case], seeds, SIMULATIONS)
    assert 0.93 - error(0.93) <= rates.covered <= 0.97 + error(0.97)
    assert 0.03 - error(0.03) <= rates.wrong[0] <= 0.07 + error(0.07)
    assert rates.wrong[2] <= 0.001 + error(0.001)


def test_one_seed_is_right_about_its_models():
    rates = equal(CASES["seeds make no difference"], 1, SIMULATIONS)
    assert 0.95 - error(0.95) <= rates.covered <= 0.95 + error(0.95)
    assert 0.05 - error(0.05) <= rates.wrong[0] <= 0.05 + error(0.05)
    assert 0.05 - error(0.05) <= rates.wrong_examples <= 0.05 + error(0.05)


def test_examples_alone_are_wrong_about_methods():
    """What the seeds are there for, and proof that these simulations find a test that errs."""
    assert equal(CASES["large spread of seeds"], 5, SIMULATIONS).wrong_examples > 0.3


def test_six_equal_methods():
    assert family(CASES["large spread of seeds, methods × examples"], 3, 200) <= 0.05 + error(0.05) * 2**0.5


def test_a_known_difference_is_found():
    assert power(CASES["like ROUGE, small spread of seeds"], 5, 200, better=0.05) > 0.95

"""The same numbers through SciPy, which the package does without: `tox -e stats` installs it for these tests alone."""

from __future__ import annotations

import numpy as np
import pytest

from reports.analysis.resampling import Resampler
from reports.analysis.stats import compare_rows, compute_intervals, compute_seed_interval

stats = pytest.importorskip("scipy.stats")


@pytest.fixture
def dice():
    return np.random.default_rng(11)


def compare(first, second, resamples=100_000):
    rows = {"a": first, "b": second}
    resampler = Resampler(first.shape[1], resamples)
    return compare_rows(rows, {name: range(len(first)) for name in rows}, resampler)["a", "b"]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 31])
def test_seed_interval_is_students(dice, count):
    values = dice.random(count)
    found = compute_seed_interval(list(values))
    expected = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6)


def test_interval_of_one_seed_is_the_percentile_bootstrap(dice):
    scores = dice.beta(0.5, 3, 1500)
    [found] = compute_intervals([scores[None]], Resampler(1500, resamples=50_000))
    expected = stats.bootstrap((scores,), np.mean, n_resamples=50_000, method="percentile", rng=1).confidence_interval
    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.015 * width)


def test_intervals_of_paired_differences_are_the_paired_bootstrap(dice):
    first, second = dice.beta(1, 3, (2, 1500))
    found = compare(first[None], second[None]).interval
    expected = stats.bootstrap(
        (first, second), lambda a, b, axis: (a - b).mean(axis=axis), paired=True, method="percentile", rng=1
    ).confidence_interval
    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03 * width)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("better", [0.5, 1.5, 3.0, 8.0])
def test_where_examples_agree_p_is_that_of_students_paired_test(dice, seeds, better):
    """Tails too: the largest differences have p-values down to 0.00001, which 400,000 resamples can just tell."""
    first, second = dice.normal(0, 1, (2, seeds, 1)) + np.array([better, 0])[:, None, None]
    expected = stats.ttest_rel(first[:, 0], second[:, 0]).pvalue
    error = 5 * (2 * expected / 400_000) ** 0.5
    assert compare(first, second, 400_000).p == pytest.approx(expected, abs=error + 1e-5)


def test_with_one_seed_p_is_that_of_students_paired_test(dice):
    for better in (0.05, 0.1, 0.2):
        first, second = dice.normal(0, 1, (2, 1, 1000)) + np.array([better, 0])[:, None, None]
        expected = stats.ttest_rel(first[0], second[0]).pvalue
        assert compare(first, second).p == pytest.approx(expected, rel=0.1, abs=0.001)


@pytest.mark.parametrize("examples", [3, 6, 10])
def test_p_examples_is_the_exact_permutation_test(dice, examples):
    first, second = dice.integers(0, 4, (2, examples)) / 4 + np.array([[0.2], [0]])
    expected = stats.permutation_test((first - second,), np.mean, permutation_type="samples", vectorized=True)
    assert expected.null_distribution.size == 2**examples
    assert compare(first[None], second[None]).p_examples == pytest.approx(expected.pvalue, abs=0.008)


def test_improvement_is_the_average_of_mann_whitney(dice):
    """rliable computes its probability of improvement so, examples being its tasks and seeds its runs."""
    first, second = dice.integers(0, 5, (2, 5, 40)) / 4
    shares = [
        stats.mannwhitneyu(first[:, example], second[:, example], alternative="greater").statistic / 25
        for example in range(40)
        if not np.array_equal(first[:, example], second[:, example])
    ]
    expected = (sum(shares) + 0.5 * (40 - len(shares))) / 40
    assert compare(first, second, 1000).improvement == pytest.approx(expected)

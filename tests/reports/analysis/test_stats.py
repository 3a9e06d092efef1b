"""Intervals and differences whose values are known beforehand. Any warning is an error, as in all tests."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from reports.analysis.resampling import Resampler, compute_mean_squares
from reports.analysis.stats import (
    _adjust_by_holm,
    _compute_student_quantile,
    _find_ends,
    compare_rows,
    compute_intervals,
    compute_seed_interval,
    rank_rows,
)

pytestmark = pytest.mark.own

T_975 = {1: 12.7062, 2: 4.30265, 4: 2.77645, 9: 2.26216, 999: 1.96234}
"""Quantiles of Student's t by degrees of freedom, from printed tables."""


@pytest.fixture
def dice():
    return np.random.default_rng(7)


def compare(first, second, seeds=None, resampler=None, **others):
    """The difference of two rows; `others` are further rows of the table."""
    rows = {name: np.asarray(row, float) for name, row in {"a": first, "b": second, **others}.items()}
    seeds = seeds or {name: range(len(row)) for name, row in rows.items()}
    return compare_rows(rows, seeds, resampler or Resampler(rows["a"].shape[1]))["a", "b"]


def all_numbers(value):
    return [number for number in dataclasses.astuple(value) if isinstance(number, float)]


# Intervals


@pytest.mark.parametrize("freedom", T_975)
def test_seeds_alone_make_students_interval(freedom):
    values = np.linspace(1, 3, freedom + 1)
    found = compute_seed_interval(list(values))
    half = T_975[freedom] * values.std(ddof=1) / math.sqrt(freedom + 1)
    assert (found.mean, found.seeds) == (pytest.approx(2), freedom + 1)
    assert found.deviation == pytest.approx(values.std(ddof=1))
    assert (found.low, found.high) == (pytest.approx(2 - half, abs=1e-4), pytest.approx(2 + half, abs=1e-4))


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.706204736432095),
        (2, 4.302652729911275),
        (3, 3.182446305284263),
        (4, 2.7764451051977987),
        (9, 2.2621571627409915),
        (29, 2.045229642132703),
        (99, 1.9842169515086827),
    ],
)
def test_students_quantile_is_that_of_scipy(freedom, quantile):
    assert _compute_student_quantile(freedom) == pytest.approx(quantile, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 39, 40, 41, 999, 1001, 10_000, 82_800])
def test_the_ends_of_an_interval_are_numpys_quantiles(dice, count):
    values = dice.normal(size=count)
    hidden = np.where(np.arange(count) % max(1, count // 1000) == 0, 0.0, values)  # the tails are nowhere in the sample
    for found in (values, np.sort(values), np.zeros(count), np.round(values), hidden):
        low, high = np.quantile(found, (1 - 0.95) / 2, method="lower"), np.quantile(found, 1.95 / 2, method="higher")
        assert _find_ends(found) == (low, high)


def test_draws_that_are_kept_are_those_that_are_drawn_anew(dice, monkeypatch):
    rows = list(dice.normal(size=(3, 2, 50)))
    kept = Resampler(50)
    first, again = compute_intervals(rows, kept), compute_intervals(rows, kept)
    monkeypatch.setattr("reports.analysis.resampling._KEPT_BYTES", 0)
    assert first == again == compute_intervals(rows, Resampler(50))


def test_seed_interval_of_equal_values_and_of_one():
    assert compute_seed_interval([2.5, 2.5, 2.5]) is None
    assert compute_seed_interval([1.58, 1.58, 1.58 * (1 + 2e-16)]) is None
    assert compute_seed_interval([2.5]) is None
    assert compute_seed_interval([]) is None


def test_mean_squares_by_hand():
    assert compute_mean_squares(np.array([[1.0, 2, 3], [3, 4, 8]])) == (
        pytest.approx(3 * 4.5),
        pytest.approx(2 * 3.25),
        pytest.approx(3 / 2),
    )
    assert compute_mean_squares(np.array([[1.0, 2, 3]])) == (0.0, pytest.approx(1.0), 0.0)
    assert compute_mean_squares(np.array([[1.0], [2], [3]])) == (pytest.approx(1.0), 0.0, 0.0)
    assert compute_mean_squares(np.array([[1.0]])) == (0.0, 0.0, 0.0)


def test_one_example_leaves_the_spread_of_seeds():
    scores = np.array([[1.0], [2], [3], [4], [5]])
    [found] = compute_intervals([scores], Resampler(1, resamples=100_000))
    half = T_975[4] * math.sqrt(2.5 / 5)
    assert (found.low, found.high) == (pytest.approx(3 - half, abs=0.06), pytest.approx(3 + half, abs=0.06))
    assert (found.mean, found.seeds) == (3.0, 5)
    assert found.deviation == pytest.approx(math.sqrt(2.5))


def test_one_seed_leaves_the_spread_of_examples(dice):
    scores = dice.normal(0.4, 0.2, (1, 1000))
    [found] = compute_intervals([scores], Resampler(1000, resamples=40_000))
    half = T_975[999] * scores.std(ddof=1) / math.sqrt(1000)
    assert (found.high - found.mean, found.mean - found.low) == (pytest.approx(half, rel=0.03),) * 2
    assert (found.seeds, found.deviation) == (1, None)


def test_examples_and_seeds_both_count(dice):
    """Many of each, so that the interval is that of two normal variances, which are known."""
    scores = dice.normal(0.4, 0.2, (1, 600)) + dice.normal(0, 0.05, (60, 1)) + dice.normal(0, 0.1, (60, 600))
    [found] = compute_intervals([scores], Resampler(600, resamples=40_000))
    half = 1.96 * math.sqrt(
        scores.mean(axis=0).var(ddof=1) / 600 + scores.mean(axis=1).var(ddof=1) / 60 - 0.1**2 / (60 * 600)
    )
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)


def test_what_neither_seed_nor_example_explains_counts_once(dice):
    """It is in the seeds' means, whose Student interval is exact then; counted twice, that is 1.4 times as wide."""
    scores = dice.normal(0, 1, (10, 2000))
    [found] = compute_intervals([scores], Resampler(2000, resamples=40_000))
    half = T_975[9] * scores.mean(axis=1).std(ddof=1) / math.sqrt(10)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.08)


def test_skewed_scores_make_a_skewed_interval():
    scores = np.zeros((1, 60))
    scores[0, :3] = 1.0  # 3 of 60: more room above than below
    [found] = compute_intervals([scores], Resampler(60))
    assert found.low >= 0 - 0.005
    assert found.high - found.mean > 1.2 * (found.mean - found.low)


def test_scores_that_never_vary_have_no_interval():
    """None of twelve right says little about a thirteenth; an interval of no width would be sure."""
    assert compute_intervals([np.full((3, 5), 0.1), np.zeros((1, 5))], Resampler(5)) == [None, None]


def test_a_single_score_says_nothing_about_others():
    assert compute_intervals([np.array([[0.5]])], Resampler(1)) == [None]
    assert compute_intervals([], Resampler(1)) == []


# Differences


def test_a_row_against_itself_is_not_significantly_different(dice):
    scores = dice.random((5, 40))
    found = compare(scores, scores.copy())
    assert (found.interval.mean, found.interval.low, found.interval.high) == (0, 0, 0)
    assert (found.p, found.p_holm, found.p_examples, found.p_examples_holm) == (1, 1, 1, 1)
    assert (found.effect, found.improvement) == (None, 0.5)
    assert not found.methods_differ
    assert not found.models_differ


def test_a_clear_difference_is_significant(dice):
    base = dice.normal(0.4, 0.2, (1, 200))
    first, second = (base + dice.normal(better, 0.05, (5, 200)) for better in (0.1, 0.0))
    found = compare(first, second)
    assert found.interval.mean == pytest.approx(0.1, abs=0.01)
    assert found.methods_differ
    assert found.models_differ
    assert found.improvement > 0.9


def test_one_seed_tells_models_apart_and_never_methods(dice):
    found = compare(dice.random((1, 500)) + 1, dice.random((1, 500)))
    assert (found.p < 0.001, found.p_holm < 0.001, found.interval.seeds) == (True, True, 1)
    assert found.models_differ
    assert not found.methods_differ


def test_models_may_differ_significantly_where_methods_are_not(dice):
    """Seeds differ far more than the methods' means do, and examples hardly at all."""
    luck = np.array([[0.05], [-0.04], [0.06], [-0.03]])
    found = compare(0.5 + luck + dice.normal(0, 0.01, (4, 300)), 0.5 + dice.normal(0, 0.01, (4, 300)))
    assert found.models_differ
    assert not found.methods_differ


def test_two_seeds_tell_hardly_anything_apart():
    """Student's t with one degree of freedom: differences of 0.10 and 0.12 are not enough, 0.110 and 0.111 are."""
    zeros = np.zeros((2, 1))
    assert compare([[0.10], [0.12]], zeros).p == pytest.approx(0.0577, abs=0.01)  # t = 11
    assert compare([[0.110], [0.111]], zeros).p == pytest.approx(0.00288, abs=0.002)  # t = 221


def test_equal_means_by_chance_are_no_proof_that_seeds_do_not_matter():
    """Two seeds right on 12 of 20 examples each, but not on the same: their equal means do not make p small."""
    first = np.zeros((2, 20))
    first[0, :12] = first[1, 8:] = 1.0
    found = compare(first, np.zeros((2, 20)))
    assert found.interval.deviation == 0
    assert found.p > 0.02
    assert not found.methods_differ


def test_randomisation_test_by_hand():
    """Of all 2⁴ signs of 1, 2, 3, 4 only ++++ and −−−− reach 10; 10 of the 16 of 1, 2, 1, 4 reach −1 + 2 − 1 + 4."""
    assert compare([[1, 2, 3, 4]], np.zeros((1, 4))).p_examples == pytest.approx(2 / 16, abs=0.01)
    assert compare([[2, 2, 2]], np.zeros((1, 3))).p_examples == pytest.approx(2 / 8, abs=0.015)
    assert compare([[-1, 2, -1, 4]], np.zeros((1, 4))).p_examples == pytest.approx(10 / 16, abs=0.02)


def test_effect_and_improvement_by_hand():
    found = compare([[1, 2, 3], [1, 2, 3]], np.zeros((2, 3)))
    assert (found.effect, found.improvement) == (pytest.approx(2.0), 1.0)
    # Example 1: (1, 2) against (1, 3) is (½ + 0 + 1 + 0) / 4; example 2: (5, 5) against (4, 6) is 2 / 4.
    assert compare([[1, 5], [2, 5]], [[1, 4], [3, 6]]).improvement == pytest.approx((0.375 + 0.5) / 2)


def test_pairs_use_the_seeds_that_both_have():
    first = [[1.0, 1], [2, 2], [9, 9]]
    second = [[1.0, 2], [0, 0], [5, 5]]  # of the seeds 11, 10, 13
    found = compare(first, second, {"a": [10, 11, 12], "b": [11, 10, 13]})
    assert found.interval.seeds == 2
    assert found.interval.mean == pytest.approx(((1 + 1) + (2 - 1) + (2 - 2)) / 4)
    assert found.interval.deviation == pytest.approx(abs(1 - 0.5) / math.sqrt(2))


def test_pairs_without_a_common_seed_or_with_a_single_score_are_left_out():
    rows = {"a": np.ones((2, 3)), "b": np.zeros((1, 3)), "c": np.zeros((1, 3))}
    found = compare_rows(rows, {"a": [0, 1], "b": [2], "c": [1]}, Resampler(3))
    assert list(found) == [("a", "c")]
    alone = {"a": np.ones((1, 1)), "b": np.zeros((1, 1))}
    assert compare_rows(alone, {"a": [0], "b": [0]}, Resampler(1)) == {}
    assert compare_rows({}, {}, Resampler(1)) == {}


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("examples", [1, 2, 30])
@pytest.mark.parametrize("first", [0.0, 0.1, 1.0])
def test_constant_scores_make_numbers_and_no_warnings(first, seeds, examples):
    rows = {"a": np.full((seeds, examples), first), "b": np.full((seeds, examples), 0.1)}
    for found in compare_rows(rows, {name: range(seeds) for name in rows}, Resampler(examples)).values():
        assert all(map(math.isfinite, [*all_numbers(found), *all_numbers(found.interval)]))
        assert found.interval.mean == pytest.approx(first - 0.1)
        assert found.effect is None
        # A constant difference is as sure as its examples are many: 2 in 2 ** examples by chance.
        assert found.methods_differ == (first != 0.1 and seeds > 1 and examples == 30)
        assert found.p == found.p_examples


def test_ties_and_a_single_example_that_differs():
    first = np.zeros((3, 50))
    first[:, 0] = 1.0
    found = compare(first, np.zeros((3, 50)))
    assert found.p_examples == 1.0  # the sign of one number tells nothing
    assert not found.methods_differ
    assert found.improvement == pytest.approx(0.5 + 0.5 / 50)


def test_rounding_is_no_difference():
    found = compare(np.full((3, 30), 0.1 + 0.2), np.full((3, 30), 0.3))
    assert (found.interval.mean, found.p, found.improvement) == (0, 1, 0.5)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_p_is_below_5_percent_where_the_interval_leaves_out_0(dice, seeds):
    sides = set()
    for number in range(60):
        first, second = dice.normal(0, 1, (2, seeds, 20)) + np.array([0.03 * number, 0])[:, None, None]
        found = compare(first, second, resampler=Resampler(20, resamples=400, seed=number))
        out = found.interval.low > 0 or found.interval.high < 0
        sides.add(out)
        assert out == (found.p < 0.05)
    assert sides == {True, False}


def test_the_same_twice_and_whatever_else_the_table_holds(dice):
    first, second, third = dice.random((3, 4, 25))
    once, again, among = compare(first, second), compare(first, second), compare(first, second, c=third)
    assert once == again
    unadjusted = {"p_holm": 1.0, "p_examples_holm": 1.0}
    assert dataclasses.replace(once, **unadjusted) == dataclasses.replace(among, **unadjusted)


def test_holm_by_hand():
    assert _adjust_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert _adjust_by_holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert _adjust_by_holm([]) == []


def test_holm_counts_all_pairs_of_the_table(dice):
    rows = {name: dice.random((3, 25)) for name in "abcd"}
    rows["d"] = rows["d"] + 2
    found = compare_rows(rows, {name: range(3) for name in rows}, Resampler(25))
    assert len(found) == 6
    smallest = min(found.values(), key=lambda difference: difference.p)
    assert smallest.p_holm == pytest.approx(6 * smallest.p)
    assert [pair for pair, difference in found.items() if difference.methods_differ] == [
        ("a", "d"),
        ("b", "d"),
        ("c", "d"),
    ]


def test_a_large_table_draws_more_so_that_holm_can_be_passed():
    resampler = Resampler(5, resamples=1000)
    assert resampler.enough_for(10) is resampler
    assert 780 * 2 / (resampler.enough_for(780).resamples + 1) < 0.05


# Ranks


def test_a_rank_counts_the_rows_that_are_above():
    def ranked(*above):
        return rank_rows(["a", "b", "c"], lambda first, second: (first + second) in above)

    assert ranked("ac", "bc") == {"a": 1, "b": 1, "c": 3}
    assert ranked("ac") == {"a": 1, "b": 1, "c": 2}
    assert ranked("ab", "ac", "bc") == {"a": 1, "b": 2, "c": 3}
    assert ranked() == {"a": 1, "b": 1, "c": 1}

"""Intervals of 20 rows and differences of all 190 pairs: 5 seeds × 1,500 examples × 10,000 resamples or more.

Memory is counted, and held below 1 GB. Time is a ratio to the plain loop that draws seeds and examples for one row and
takes the mean, for as many rows and resamples: printed, never asserted.
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np

from reports.analysis.resampling import Resampler
from reports.analysis.stats import compare_rows, compute_intervals

VARIANTS, SEEDS, EXAMPLES, RESAMPLES = 20, 5, 1500, 10_000


def plain_loop(scores: np.ndarray, resamples: int) -> list[float]:
    """Means of resampled seeds and examples, as anyone would write it."""
    dice = np.random.default_rng(0)
    seeds, examples = scores.shape
    return [
        scores[dice.integers(seeds, size=seeds)][:, dice.integers(examples, size=examples)].mean()
        for _ in range(resamples)
    ]


def test_all_rows_and_pairs(benchmark):
    dice = np.random.default_rng(0)
    difficulty = dice.beta(2, 5, EXAMPLES)
    rows = {
        f"variant {number}": np.clip(difficulty + dice.normal(0.002 * number, 0.1, (SEEDS, EXAMPLES)), 0, 1)
        for number in range(VARIANTS)
    }
    seeds = {name: range(SEEDS) for name in rows}

    def everything():
        resampler = Resampler(EXAMPLES, RESAMPLES)
        return compute_intervals(list(rows.values()), resampler), compare_rows(rows, seeds, resampler)

    tracemalloc.start()
    found = everything()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found[0]), len(found[1])) == (20, 190)
    assert peak < 10**9

    ratios = []

    def one_round():
        started = time.perf_counter()
        everything()
        ours = time.perf_counter() - started
        started = time.perf_counter()
        plain_loop(rows["variant 0"], 200)
        loop = (time.perf_counter() - started) / 200 * RESAMPLES * (VARIANTS + len(found[1]))
        ratios.append(loop / ours)

    benchmark.pedantic(one_round, rounds=3)
    benchmark.extra_info["peak_bytes"] = peak
    benchmark.extra_info["plain_loop_over_vectorised_seconds"] = round(float(np.median(ratios)), 1)
    print(f"\n20 intervals, 190 differences: peak {peak / 1e6:.0f} MB")
    print(f"plain loop / vectorised, seconds: {np.median(ratios):.0f}")

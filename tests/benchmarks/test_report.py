"""`report` on a large comparison: 20 variants × 2 seeds × 250 examples, every section and file.

Time is a ratio to drawing the examples anew for each pair of rows, as many times as Holm's correction asks for, without
anything that follows from the draws: printed, never asserted.
"""

from __future__ import annotations

import csv
import io
import time

import numpy as np

from reports.leaderboard import render
from tests.benchmarks.many_records import many_records

VARIANTS, SEEDS, EXAMPLES = 20, 2, 250
PAIRS = (VARIANTS + 1) * VARIANTS // 2


def draw_anew(pairs: int) -> None:
    """Means of resampled differences, with draws of their own for each pair."""
    for pair in range(pairs):
        dice = np.random.default_rng(pair)
        scores = dice.normal(size=EXAMPLES)
        for _ in range(80 * PAIRS // 400):
            scores[dice.integers(EXAMPLES, size=(400, EXAMPLES))].mean(axis=1)


def test_report(benchmark):
    records = list(many_records(VARIANTS, SEEDS, EXAMPLES))
    ratios = []

    def report_once():
        started = time.process_time()
        files = render(records)
        ours = time.process_time() - started
        started = time.process_time()
        draw_anew(10)
        ratios.append((time.process_time() - started) / 10 * PAIRS / ours)
        return files

    files = benchmark.pedantic(report_once, rounds=3)
    assert len(list(csv.reader(io.StringIO(files["differences.csv"])))) == 1 + PAIRS
    benchmark.extra_info["drawing_anew_over_report_seconds"] = round(float(np.median(ratios)), 1)
    print(f"\ndrawing examples anew for each pair / whole report, CPU seconds: {np.median(ratios):.1f}")

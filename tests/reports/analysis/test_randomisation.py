"""The randomisation test counts what the plain formula counts, whatever the scores are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reports.analysis.randomisation import compute_randomisation_p
from reports.analysis.resampling import ROUNDING, Resampler


def plain(differences, resampler):
    observed = np.abs(differences.sum(axis=1)) * (1 - ROUNDING)
    reached = sum((np.abs(signs @ differences.T) >= observed).sum(axis=0) for signs in resampler.signs())
    return list((1 + reached) / (1 + resampler.resamples))


@pytest.mark.parametrize(
    "kind", ["continuous", "right or wrong", "thirds", "few examples", "twins", "tiny differences"]
)
def test_sums_over_rows_count_as_sums_over_differences(kind):
    dice = np.random.default_rng(3)
    scores = dice.random((6, 60))
    if kind == "right or wrong":
        scores = np.round(scores)
    elif kind == "thirds":
        scores = dice.integers(0, 4, (6, 60)) / 3
    elif kind == "few examples":
        scores = dice.integers(0, 3, (6, 3)) / 3
    elif kind == "twins":
        scores[3] = scores[1]
    elif kind == "tiny differences":
        scores = 1e6 + 1e-3 * scores
    pairs = list(itertools.combinations(range(6), 2))
    differences = np.stack([scores[a] - scores[b] for a, b in pairs])
    resampler = Resampler(scores.shape[1], 3000)
    assert compute_randomisation_p(differences, pairs, dict(enumerate(scores)), resampler) == plain(
        differences, resampler
    )

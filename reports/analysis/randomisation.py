"""The approximate randomisation test: how often random signs make a mean of differences as large as it is.

Signs are tossed for the examples, the same for all pairs. The sum of a pair's signed differences is that of its first
row less that of its second, and there are far fewer rows than pairs; so signs are summed over the rows. What differs
is rounding, and where rounding might decide the signs are summed over the differences themselves.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from reports.analysis.resampling import ROUNDING, Resampler

if TYPE_CHECKING:
    from reports.analysis.resampling import Floats

_DOUBT = 1e-9
"""Share of the sum of a row's scores within which rounding might decide; rounding is a thousand times smaller."""


def compute_randomisation_p(
    differences: Floats,
    pairs: Sequence[tuple[Hashable, Hashable]],
    rows: Mapping[Hashable, Floats],
    resampler: Resampler,
) -> list[float]:
    """The two-sided p-value of each line of (pairs, examples) differences; never 0.

    `pairs` says of which two `rows` each line is the difference; a row holds its examples' means over seeds.
    """
    import numpy as np

    numbers = {name: number for number, name in enumerate(rows)}
    held = np.stack(list(rows.values()))
    observed = np.abs(differences.sum(axis=1)) * (1 - ROUNDING)
    doubt = _DOUBT * np.abs(held).sum(axis=1).max()
    groups: dict[int, list[int]] = {}  # pairs by their first row: what is done at a time stays in the processor's cache
    for line, (first, _) in enumerate(pairs):
        groups.setdefault(numbers[first], []).append(line)
    lines = {first: np.array(found) for first, found in groups.items()}
    seconds = {first: np.array([numbers[pairs[line][1]] for line in found]) for first, found in groups.items()}
    reached = np.zeros(len(differences))
    for signs in resampler.signs():
        sums = held @ signs.T
        for first, found in lines.items():
            of_pairs = sums[seconds[first]]
            of_pairs -= sums[first]
            np.abs(of_pairs, out=of_pairs)
            certain = (of_pairs >= (observed[found] + doubt)[:, None]).sum(axis=1)
            possible = (of_pairs >= (observed[found] - doubt)[:, None]).sum(axis=1)
            reached[found] += certain
            doubtful = certain != possible
            if doubtful.any():
                these = found[doubtful]
                exact = (np.abs(signs @ differences[these].T) >= observed[these]).sum(axis=0)
                reached[these] += exact - certain[doubtful]
    return [float(count) for count in (1 + reached) / (1 + resampler.resamples)]

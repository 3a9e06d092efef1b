"""Intervals and differences: what scores on some examples and with some seeds say about others.

A score belongs to an example and to a seed, and both are drawn: a method would have scored otherwise on other examples,
and with other seeds. With one seed the examples alone are drawn, and what follows holds for that seed's models, not for
the methods that made them. docs/statistics.md says what is computed and why, and how often it errs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

from reports.analysis.randomisation import compute_randomisation_p
from reports.analysis.resampling import ROUNDING, Resampler

if TYPE_CHECKING:
    from reports.analysis.resampling import Floats

LEVEL = 0.95
_SAMPLE = 1000
"""Deviations from which it is guessed where the tails begin."""


@dataclass(frozen=True)
class Interval:
    """Mean with a 95% interval: over examples and seeds; with one seed over examples only."""

    mean: float
    low: float
    high: float
    deviation: float | None
    """Standard deviation of the seeds' means (n − 1); `None` for one seed."""
    seeds: int


@dataclass(frozen=True)
class Difference:
    """One row minus another on the same examples and seeds.

    `methods_differ` is the verdict on the methods, `models_differ` that on the models that were trained.
    """

    interval: Interval
    p: float
    """Two-sided p-value of the paired bootstrap: about the methods with two seeds or more, else about the models."""
    p_examples: float
    """Two-sided p-value of an approximate randomisation test over examples: about the models that were trained."""
    effect: float | None
    """Mean over standard deviation of the examples' differences (Cohen's d for pairs); `None` where all are equal."""
    improvement: float
    """Chance that the first scores higher than the second on an example, each with any of the seeds; ties half."""
    p_holm: float
    """`p` adjusted for all comparisons of a table (Holm 1979)."""
    p_examples_holm: float
    """`p_examples` adjusted likewise."""

    @property
    def methods_differ(self) -> bool:
        """Whether the *methods* differ significantly; never with one seed, whatever its p-values."""
        return self.interval.seeds > 1 and self.p_holm < 1 - LEVEL

    @property
    def models_differ(self) -> bool:
        """Whether the *trained models* differ significantly on such examples; other seeds may make other models."""
        return self.p_examples_holm < 1 - LEVEL

    @property
    def significant(self) -> bool:
        """Whether the methods differ significantly, or with one seed their two models."""
        return self.methods_differ if self.interval.seeds > 1 else self.models_differ

    @property
    def significantly_better(self) -> bool:
        """Whether the first row is significantly better."""
        return self.significant and self.interval.mean > 0

    @property
    def p_shown(self) -> float:
        """The adjusted p-value that decides whether the difference is `significant`."""
        return self.p_holm if self.interval.seeds > 1 else self.p_examples_holm

    def turned(self) -> Difference:
        """The second row minus the first."""
        held = self.interval
        return replace(
            self,
            interval=replace(held, mean=-held.mean, low=-held.high, high=-held.low),
            effect=None if self.effect is None else -self.effect,
            improvement=1 - self.improvement,
        )


def compute_intervals(rows: Sequence[Floats], resampler: Resampler) -> list[Interval | None]:
    """One interval for each (seeds, examples) array of scores; all have the same examples.

    `None` for a row of a single score, or of scores that never vary, which say nothing about others.
    """
    import numpy as np

    if not rows:
        return []
    parts = resampler.by_examples(np.stack([scores.mean(axis=0) for scores in rows]))
    return [
        _build_interval(scores, resampler.deviations(scores, part)) if _varies(np.ptp(scores), scores.mean()) else None
        for scores, part in zip(rows, parts, strict=True)
    ]


def compute_seed_interval(values: Sequence[float]) -> Interval | None:
    """Interval over seeds alone, for what is measured once per seed (time, memory); `None` where no two differ.

    Student's t: it holds where seeds spread like a normal distribution, which a handful of values cannot show.
    """
    import numpy as np

    if len(values) < 2 or not _varies(float(np.ptp(values)), float(np.mean(values))):
        return None
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = _compute_student_quantile(len(values) - 1) * spread / len(values) ** 0.5
    return Interval(mean, mean - half, mean + half, spread, len(values))


def compare_rows(
    rows: Mapping[str, Floats], seeds: Mapping[str, Sequence[int]], resampler: Resampler
) -> dict[tuple[str, str], Difference]:
    """Every two rows compared on the seeds that both have; p-values adjusted for all of these comparisons.

    `rows` are (seeds, examples) scores, `seeds` says which seed each of their lines is. Pairs without a common seed are
    left out, and so are pairs with a single score each.
    """
    import numpy as np

    paired, sources = {}, []
    means_of_rows: dict[Hashable, Floats] = {}
    for a, b in combinations(rows, 2):
        common = [seed for seed in seeds[a] if seed in seeds[b]]
        first, second = (rows[name][[list(seeds[name]).index(seed) for seed in common]] for name in (a, b))
        if first.size > 1:
            paired[a, b] = first, second
            sources.append(((a, *common), (b, *common)))
            for source, scores in zip(sources[-1], (first, second), strict=True):
                if source not in means_of_rows:
                    means_of_rows[source] = scores.mean(axis=0)
    if not paired:
        return {}
    resampler = resampler.enough_for(len(paired))
    minus = [_subtract(first, second) for first, second in paired.values()]
    means = np.stack([scores.mean(axis=0) for scores in minus])
    by_chance = compute_randomisation_p(means, sources, means_of_rows, resampler)
    found = []
    for scores, part, p_examples in zip(minus, resampler.by_examples(means), by_chance, strict=True):
        mean, deviations = float(scores.mean()), resampler.deviations(scores, part)
        # A difference that never varies leaves the bootstrap nothing to draw: it would be sure after two examples.
        p = _compute_p(mean, deviations) if _varies(max(deviations.max(), -deviations.min()), mean) else p_examples
        found.append((_build_interval(scores, deviations), p, p_examples, _compute_effect(scores.mean(axis=0))))
    holm, examples_holm = _adjust_by_holm([p for _, p, _, _ in found]), _adjust_by_holm(by_chance)
    return {
        pair: Difference(*known, _compute_improvement(*paired[pair]), adjusted, examples_adjusted)
        for pair, known, adjusted, examples_adjusted in zip(paired, found, holm, examples_holm, strict=True)
    }


def rank_rows(names: Sequence[str], above: Callable[[str, str], bool]) -> dict[str, int]:
    """Rank of each row: one more than the number of rows that are above it, so that rows may share one (1, 1, 3).

    `above(a, b)` says that a is significantly better than b.
    """
    return {name: 1 + sum(above(other, name) for other in names if other != name) for name in names}


def _build_interval(scores: Floats, deviations: Floats) -> Interval:

    mean, seeds = float(scores.mean()), len(scores)
    low, high = _find_ends(deviations)
    spread = float(scores.mean(axis=1).std(ddof=1)) if seeds > 1 else None
    return Interval(mean, mean + low, mean + high, spread, seeds)


def _find_ends(deviations: Floats) -> tuple[float, float]:
    """The ends between which `LEVEL` of the deviations lie: np.quantile with the methods `lower` and `higher`."""
    import numpy as np

    last = len(deviations) - 1
    below, above = math.floor(last * ((1 - LEVEL) / 2)), math.ceil(last * ((1 + LEVEL) / 2))
    # To look through a tail is enough, and with very many deviations far faster than to order all of them.
    sample = np.sort(deviations[:: max(1, len(deviations) // _SAMPLE)])
    reach = math.ceil(len(sample) * (1 - LEVEL))  # twice as far as the tail is likely to go
    lowest = deviations[deviations <= sample[min(reach, len(sample) - 1)]]
    highest = deviations[deviations >= sample[max(len(sample) - 1 - reach, 0)]]
    if len(lowest) <= below or len(highest) <= last - above:  # an unlikely sample
        lowest = highest = deviations
    from_end = len(highest) - 1 - (last - above)
    return float(np.partition(lowest, below)[below]), float(np.partition(highest, from_end)[from_end])


@cache
def _compute_student_quantile(freedom: int) -> float:
    """The |t| that Student's t with so many degrees of freedom stays below with probability `LEVEL`.

    With t = √freedom · tan(angle) the density is cos(angle) ** (freedom − 1), summed over half a million steps here.
    """
    import numpy as np

    angle = np.linspace(0.0, np.pi / 2, 500_001)
    middle = (angle[1:] + angle[:-1]) / 2
    below = np.concatenate([[0.0], np.cumsum(np.cos(middle) ** (freedom - 1))])
    return float(freedom**0.5 * np.tan(np.interp(LEVEL, below / below[-1], angle)))


def _subtract(first: Floats, second: Floats) -> Floats:
    """The difference; 0 where it is rounding."""
    import numpy as np

    minus: Floats = first - second
    minus[np.abs(minus) <= ROUNDING * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return minus


def _varies(spread: float, mean: float) -> bool:
    return spread > ROUNDING * abs(mean)


def _compute_p(mean: float, deviations: Floats) -> float:
    """Twice the share of resampled means on the other side of 0, on whichever side it is smaller; never 0.

    It is below 5% exactly where the 95% interval leaves out 0 (for multiples of 40 resamples).
    """
    import numpy as np

    resampled = mean + deviations
    beyond = int(min(np.count_nonzero(resampled <= 0), np.count_nonzero(resampled >= 0)))
    return min(1.0, 2 * (1 + beyond) / (1 + len(resampled)))


def _compute_effect(means: Floats) -> float | None:
    mean, spread = float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return mean / spread if _varies(spread, mean) else None


def _compute_improvement(first: Floats, second: Floats) -> float:
    """The probability of improvement of Agarwal et al. 2021, with examples as tasks and seeds as runs."""
    import numpy as np

    return float((1 + np.sign(_subtract(first[:, None], second[None, :])).mean()) / 2)


def _adjust_by_holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment."""
    adjusted, held = [0.0] * len(values), 0.0
    for number, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        held = max(held, min(1.0, values[place] * (len(values) - number)))
        adjusted[place] = held
    return adjusted

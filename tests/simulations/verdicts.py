"""How often intervals miss and differences are seen that are not there, on simulated scores whose truth is known.

    python -m tests.simulations.verdicts                      # 2,000 simulations a case; prints the tables of the docs
    python -m tests.simulations.verdicts --simulations 200 --only rouge

Two methods are equal: then an interval should hold the true mean in 95% of the simulations, and p should be below 0.05
in 5%. Then one is better by a known amount, and six are equal at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from reports.analysis.resampling import RESAMPLES, Resampler
from reports.analysis.stats import Difference, _adjust_by_holm, compare_rows, compute_intervals

EXAMPLES = 200


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what a score is made of, in points of a score between 0 and 1."""

    seed: float
    """Of a seed's models, for each method apart."""
    own: float
    """Of an example for one method, which does better on some; that of an example for all methods is 0.2."""
    rest: float = 0.1
    """Of what neither seed nor example explains."""
    mean: float = field(default=0.4, init=False)

    def __call__(self, dice: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
        """(methods, seeds, examples) scores of methods that are equal."""
        return (
            self.mean
            + dice.normal(0, 0.2, EXAMPLES)
            + dice.normal(0, self.own, (methods, 1, EXAMPLES))
            + dice.normal(0, self.seed, (methods, seeds, 1))
            + dice.normal(0, self.rest, (methods, seeds, EXAMPLES))
        )


@dataclass(frozen=True)
class Bounded:
    """Skewed scores from 0 to 1, as ROUGE's: beta distributed about their example's difficulty, a share of them 0."""

    seed: float
    """The largest relative deviation of a seed's models."""
    zeros: float
    closeness: float
    """Of a beta distribution: 0 makes scores 0 or 1, as those of exact match are."""

    @property
    def mean(self) -> float:
        return (1 - self.zeros) * 0.75 * 2 / 7

    def __call__(self, dice: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
        """(methods, seeds, examples) scores of methods that are equal."""
        difficulty = 0.75 * dice.beta(2, 5, EXAMPLES)
        expected = difficulty * (1 + dice.uniform(-self.seed, self.seed, (methods, seeds, 1)))
        if self.closeness:
            scores = dice.beta(self.closeness * expected, self.closeness * (1 - expected))
        else:
            scores = (dice.random(expected.shape) < expected).astype(float)
        # Half of the zeros are the example's: nobody scores on it.
        half = 1 - (1 - self.zeros) ** 0.5
        return scores * (dice.random(EXAMPLES) >= half) * (dice.random(scores.shape) >= half)


@dataclass(frozen=True)
class Collapsing:
    """Methods of which now and then a seed fails to learn: a share of the seeds scores a quarter of the others."""

    share: float
    seed: float = field(default=0.005, init=False)
    """Standard deviation of the means of seeds that did learn."""
    kept: float = field(default=0.25, init=False)

    @property
    def mean(self) -> float:
        return Spread(0, 0).mean * (1 - self.share * (1 - self.kept))

    def __call__(self, dice: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
        """(methods, seeds, examples) scores of methods that are equal."""
        scores = Spread(self.seed, 0.0)(dice, methods, seeds)
        return scores * np.where(dice.random((methods, seeds, 1)) < self.share, self.kept, 1.0)


Case = Spread | Bounded | Collapsing

CASES: dict[str, Case] = {
    "seeds make no difference": Spread(0.0, 0.0),
    "seeds make no difference, methods × examples": Spread(0.0, 0.1),
    "small spread of seeds": Spread(0.005, 0.0),
    "small spread of seeds, methods × examples": Spread(0.005, 0.1),
    "large spread of seeds": Spread(0.02, 0.0),
    "large spread of seeds, methods × examples": Spread(0.02, 0.1),
    "huge spread of seeds": Spread(0.05, 0.05),
    "like ROUGE, small spread of seeds": Bounded(0.03, 0.15, 10.0),
    "like ROUGE, large spread of seeds": Bounded(0.2, 0.15, 10.0),
    "like exact match (0 or 1)": Bounded(0.1, 0.1, 0.0),
    "one seed in ten collapses": Collapsing(0.1),
    "one seed in five collapses": Collapsing(0.2),
}
SEEDS = (1, 2, 3, 5, 10)
FEWER = (
    "seeds make no difference",
    "small spread of seeds, methods × examples",
    "large spread of seeds, methods × examples",
    "like ROUGE, small spread of seeds",
    "like ROUGE, large spread of seeds",
)
"""Cases of the slower tables."""


@dataclass(frozen=True)
class Rates:
    """Shares of the simulations of two equal methods."""

    covered: float
    """The first's interval held the true mean."""
    wrong: tuple[float, float, float]
    """p was below 0.05, 0.01, 0.001."""
    wrong_examples: float
    """The randomisation test's p was below 0.05: right about the models, and wrong about the methods."""


def equal(case: Case, seeds: int, simulations: int) -> Rates:
    """Rates for two methods that do not differ."""
    covered, p, p_examples = [], [], []
    for rows, resampler in batches(case, 2, seeds, simulations):
        covered += [found.low <= case.mean <= found.high for found in compute_intervals(list(rows[:, 0]), resampler)]
        for [found] in compared(rows, resampler):
            p.append(found.p)
            p_examples.append(found.p_examples)
    wrong = tuple(share(p, level) for level in (0.05, 0.01, 0.001))
    return Rates(float(np.mean(covered)), wrong, share(p_examples, 0.05))


def family(case: Case, seeds: int, simulations: int) -> float:
    """Share of the simulations in which any two of six equal methods were significantly different."""
    smallest = [
        min(_adjust_by_holm([found.p for found in pairs]))
        for rows, resampler in batches(case, 6, seeds, simulations)
        for pairs in compared(rows, resampler)
    ]
    return share(smallest, 0.05)


def power(case: Case, seeds: int, simulations: int, better: float) -> float:
    """Share of the simulations in which a method that is better by so much was found significantly better."""
    p = []
    for rows, resampler in batches(case, 2, seeds, simulations):
        rows[:, 0] += better
        p += [found.p if found.interval.mean > 0 else 1.0 for [found] in compared(rows, resampler)]
    return share(p, 0.05)


def batches(case: Case, methods: int, seeds: int, simulations: int) -> Iterator[tuple[np.ndarray, Resampler]]:
    """(simulations, methods, seeds, examples) scores; a batch shares its resamples, which saves most of the time."""
    size = 120 // (methods * (methods - 1) // 2)  # pairs for which 10,000 resamples are enough
    for start in range(0, simulations, size):
        numbers = range(start, min(start + size, simulations))
        rows = np.stack([case(np.random.default_rng([number, methods]), methods, seeds) for number in numbers])
        yield rows, Resampler(EXAMPLES, seed=start)


def compared(rows: np.ndarray, resampler: Resampler) -> list[list[Difference]]:
    """The differences of each simulation. Simulations have no seed in common, so that they are not compared."""
    simulations, methods, seeds, _ = rows.shape
    named = {f"{number} {method}": rows[number, method] for number in range(simulations) for method in range(methods)}
    used = {name: [int(name.split()[0]) * seeds + line for line in range(seeds)] for name in named}
    found: list[list[Difference]] = [[] for _ in range(simulations)]
    for (first, _), difference in compare_rows(named, used, resampler).items():
        found[int(first.split()[0])].append(difference)
    return found


def share(p: list[float], level: float) -> float:
    return float(np.mean(np.array(p) < level))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    arguments = parser.parse_args()
    count = arguments.simulations
    chosen = {name: case for name, case in CASES.items() if arguments.only in name}
    fewer = {name: case for name, case in chosen.items() if name in FEWER}

    print(f"{count:,} simulations, {EXAMPLES} examples, {RESAMPLES:,} resamples, numpy {np.__version__}\n")
    print("| equal methods | seeds | interval holds the mean | p < 0.05 | p < 0.01 | p < 0.001 | p_examples < 0.05 |")
    print("|---|---|---|---|---|---|---|")
    for name, case in chosen.items():
        for seeds in SEEDS:
            if seeds == 1 and case.seed:
                continue  # what one seed's interval claims is about its models, whose mean is not the methods'
            rates = equal(case, seeds, count)
            wrong = " | ".join(f"{rate:.2%}" for rate in rates.wrong)
            print(f"| {name} | {seeds} | {rates.covered:.1%} | {wrong} | {rates.wrong_examples:.1%} |", flush=True)

    print("\n| six equal methods | seeds | any two significantly different (Holm) |\n|---|---|---|")
    for name, case in fewer.items():
        for seeds in (3, 5, 10):
            print(f"| {name} | {seeds} | {family(case, seeds, count):.1%} |", flush=True)

    print("\n| one is better | by | seeds | significantly better |\n|---|---|---|---|")
    for name, case in fewer.items():
        for better in (0.02, 0.05):
            for seeds in (2, 3, 5, 10):
                found = power(case, seeds, count, better)
                print(f"| {name} | {better} | {seeds} | {found:.0%} |", flush=True)


if __name__ == "__main__":
    main()

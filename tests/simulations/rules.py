"""Ways to make an interval from the mean squares of seeds and examples, beside the one that reports takes.

    python -m tests.simulations.rules        # needs SciPy; prints a table of docs/statistics.md

The mean difference of equal methods is normal here, so that nothing but the rule errs: no bootstrap, no skew. Variances
are in units of what is left of a score (R): those of s seeds as e·S / R, of e examples as s·E / R, as they count in the
mean.
"""

from __future__ import annotations

import numpy as np

from reports.analysis.resampling import Resampler

SIMULATIONS, EXAMPLES, DRAWS = 20_000, 200, 1000
LEVELS = (0.05, 0.01, 0.001)


def wrong(seeds: int, of_seeds: float, of_examples: float) -> dict[str, list[float]]:
    """Rule → share of p-values below each level."""
    from scipy.special import ndtr
    from scipy.stats import t

    dice = np.random.default_rng(0)
    freedom = (seeds - 1, EXAMPLES - 1, (seeds - 1) * (EXAMPLES - 1))
    expected = (of_seeds + 1, of_examples + 1, 1.0)
    squares = np.array([e * dice.chisquare(df, SIMULATIONS) / df for e, df in zip(expected, freedom, strict=True)])
    mean = np.abs(dice.standard_normal(SIMULATIONS)) * (of_seeds + of_examples + 1) ** 0.5

    total = np.maximum(squares[0] + squares[1] - squares[2], squares[:2].max(axis=0))
    degrees = total**2 / (squares**2 / np.array(freedom)[:, None]).sum(axis=0)
    p = {"Satterthwaite": 2 * t.sf(mean / np.sqrt(total), np.maximum(degrees, 1))}
    plain, taken = np.empty(SIMULATIONS), np.empty(SIMULATIONS)
    for number, (a, b, r) in enumerate(squares.T):
        if number % 100 == 0:  # the same draws for all would make the same error for all
            resampler = Resampler(EXAMPLES, DRAWS, seed=number)
        parts = resampler.variances(a, b, r, seeds=seeds)
        taken[number] = 2 * ndtr(-mean[number] / np.sqrt(parts[0] + parts[1])).mean()
        _, of_a, *_ = resampler._draws(seeds)
        plain[number] = 2 * ndtr(-mean[number] / np.sqrt(a * of_a + parts[1])).mean()
    p |= {"surrogates": plain, "surrogates, narrowed": taken}
    return {rule: [float((values < level).mean()) for level in LEVELS] for rule, values in p.items()}


def main() -> None:
    print("| seeds | e·S / R | s·E / R | Satterthwaite | surrogates | surrogates, narrowed (taken) |")
    print("|---|---|---|---|---|---|")
    for seeds in (2, 3, 5, 10):
        for of_seeds in (0.0, 5.0, 50.0):
            for of_examples in (0.0, 1.0, 10.0):
                rates = wrong(seeds, of_seeds, of_examples).values()
                cells = " | ".join(f"{p[0]:.1%}, {p[1]:.2%}, {p[2]:.2%}" for p in rates)
                print(f"| {seeds} | {of_seeds:g} | {of_examples:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

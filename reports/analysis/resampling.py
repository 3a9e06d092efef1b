"""What the mean of scores would have been on other examples and with other seeds: the draws behind `stats`.

Every seed is evaluated on the same examples, so seeds and examples are crossed, and each is drawn apart (the pigeonhole
bootstrap, Owen 2007): examples by resampling them, seeds by normal weights, since of three seeds there are too few
samples to draw from. Drawn alone, both would count what is left of a score once its seed and its example are known, and
neither would say how little a handful of seeds tells about the spread of all seeds. So each part is scaled to a draw of
its variance, given the mean squares of the two-way layout (surrogate variables, Chiang 2000). That makes Student's t
where one part is all there is, with its tails at any level: small p-values that Holm's correction multiplies hold too.
Satterthwaite's rule, one t with estimated degrees of freedom, was tried and left: with 3 seeds p < 0.001 comes up to
twelve times too often (docs/statistics.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Counts = np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger[Any]]]

RESAMPLES = 10_000
SEED = 0
ROUNDING = 1e-12
"""What is smaller than this share of the scores is rounding."""
_CHUNK, _ROWS = 512, 200
"""Resamples that are drawn, and rows that are resampled, at a time, so that memory does not grow with their number."""
_KEPT_BYTES = 1 << 28
"""Draws of examples are kept where they take no more than this; drawing them takes longer than using them."""


class Resampler:
    """Draws of examples, seeds and variances: the same for all rows, so that every comparison is paired."""

    def __init__(self, examples: int, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        self.examples = examples
        self.resamples = resamples
        self.seed = seed
        self._drawn: dict[int, tuple[Floats, ...]] = {}
        self._kept: list[Counts] = []

    def enough_for(self, comparisons: int) -> Resampler:
        """This one, or one that draws more where so many comparisons could not pass Holm's correction otherwise:
        the smallest p is 2 / (resamples + 1)."""
        wanted = 80 * comparisons
        return self if wanted <= self.resamples else Resampler(self.examples, wanted, self.seed)

    def by_examples(self, means: Floats) -> Iterator[Floats]:
        """For each row of (rows, examples) means over seeds: (resamples,) deviations of the mean of resampled ones."""
        import numpy as np

        for first in range(0, len(means), _ROWS):
            block = means[first : first + _ROWS]
            centred = (block - block.mean(axis=1, keepdims=True)).T / self.examples
            found = np.empty((len(block), self.resamples))
            for (start, size), counts in zip(self._chunks(), self._counts(), strict=True):
                found[:, start : start + size] = (counts.astype(np.float64) @ centred).T
            yield from found

    def _counts(self) -> Iterator[Counts]:
        """Chunks of (resamples, examples) numbers: how often each example was drawn."""
        if self._kept:
            yield from self._kept
            return
        keep = self.resamples * self.examples <= _KEPT_BYTES
        chunks = []
        for counts in self._draw_counts():
            yield counts
            if keep:
                chunks.append(counts)
        self._kept = chunks

    def _draw_counts(self) -> Iterator[Counts]:
        import numpy as np

        dice = np.random.default_rng([self.seed, 1])
        for _, size in self._chunks():
            drawn = dice.integers(self.examples, size=(size, self.examples))
            drawn += np.arange(size)[:, None] * self.examples
            counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
            yield counts.astype(np.min_scalar_type(int(counts.max())))  # one byte each, but for a very rare chunk

    def signs(self) -> Iterator[Floats]:
        """Chunks of (resamples, examples) signs, each + or − by the toss of a coin."""
        import numpy as np

        dice = np.random.default_rng([self.seed, 2])
        for _, size in self._chunks():
            tossed = dice.integers(0, 2, size=(size, self.examples)).astype(np.float64)
            yield 2 * tossed - 1

    def deviations(self, scores: Floats, by_examples: Floats) -> Floats:
        """(resamples,) deviations of the mean of (seeds, examples) scores, given those that are due to examples."""
        import numpy as np

        of_seeds, of_examples = self.variances(*compute_mean_squares(scores), seeds=len(scores))
        spread = float(by_examples.std())
        # In place from here on: with many pairs, new arrays would take longer than what is computed in them.
        np.sqrt(of_seeds, out=of_seeds)
        of_seeds *= self._draws(len(scores))[0]
        np.sqrt(of_examples, out=of_examples)
        if spread > ROUNDING * np.abs(scores).max():
            of_examples *= by_examples / spread
        else:
            of_examples *= 0.0
        of_seeds += of_examples
        of_seeds /= scores.size**0.5
        return of_seeds

    def variances(self, a: float, b: float, r: float, *, seeds: int) -> tuple[Floats, Floats]:
        """(resamples,) variances, times the number of scores, of the two parts of a mean's error, given mean squares.

        That of the seeds' means is the mean square of seeds, A: what is left of a score is in its seed's mean too. So
        the examples' part is theirs less that of what is left, B − R, if that is above 0. Each mean square is its
        estimate times degrees of freedom over chi square.
        """
        import numpy as np

        _, of_a, of_a_more, of_b, of_r, coin = self._draws(seeds)
        # Where scores are 0 or 1, seeds may make exactly the same mean by chance. It is no sign that they always do.
        a = r if a <= ROUNDING * r else a
        # Two parts drawn so are too wide together (Fisher's answer to the Behrens-Fisher problem), by the more the less
        # the seeds' part counts. Two degrees of freedom more for it in that proportion make up for it; and damped,
        # since for two or three seeds that is too much.
        others, freedom = max(b - r, 0.0), seeds - 1
        share = others / (a + others) if others > 0 else 0.0
        of_seeds = a * (np.where(coin < share * freedom / (freedom + 2), of_a_more, of_a) if share > 0 else of_a)
        of_examples = b * of_b
        of_examples -= r * of_r
        return of_seeds, np.maximum(of_examples, 0.0, out=of_examples)

    def _draws(self, seeds: int) -> tuple[Floats, ...]:
        """For so many seeds: normal; variances over their estimates of seeds (twice), examples and rest; uniform."""
        import numpy as np

        if seeds not in self._drawn:
            dice = np.random.default_rng([self.seed, 3, seeds])

            def over_estimate(freedom: int, more: int = 0) -> Floats:
                return freedom / dice.chisquare(max(freedom, 1) + more, self.resamples)

            few, many = seeds - 1, self.examples - 1
            self._drawn[seeds] = (
                dice.standard_normal(self.resamples),
                over_estimate(few),
                over_estimate(few, 2),
                over_estimate(many),
                over_estimate(few * many),
                dice.random(self.resamples),
            )
        return self._drawn[seeds]

    def _chunks(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.resamples, _CHUNK):
            yield start, min(_CHUNK, self.resamples - start)


def compute_mean_squares(scores: Floats) -> tuple[float, float, float]:
    """Mean squares of seeds, of examples and of what is left of (seeds, examples) scores; 0 where there is but one.

    The two-way layout without replication: they estimate e·S + R, s·E + R and R for variances S of seeds, E of examples
    and R of what is left, of e examples and s seeds.
    """
    seeds, examples = scores.shape
    of_seeds, of_examples = scores.mean(axis=1), scores.mean(axis=0)
    a = examples * float(of_seeds.var(ddof=1)) if seeds > 1 else 0.0
    b = seeds * float(of_examples.var(ddof=1)) if examples > 1 else 0.0
    if seeds == 1 or examples == 1:
        return a, b, 0.0
    left = scores - of_seeds[:, None] - of_examples + scores.mean()
    return a, b, float((left**2).sum()) / ((seeds - 1) * (examples - 1))

"""How sure a recommendation is: whether the method that it names is told apart from the runner-up, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports.aggregate import Row
from reports.format import format_value
from reports.limits import Limit
from reports.metrics import METRICS, PRIMARY, Metric

if TYPE_CHECKING:
    import numpy as np

    from reports.stats import Difference

Pairs = Mapping[tuple[str, str], "Difference"]


def compare(rows: Sequence[Row]) -> Pairs:
    """Every two rows with scores of the same examples, the earlier one first; of others nothing is known."""
    examples = max((len(record.scores.get(PRIMARY, ())) for row in rows for record in row.ok), default=0)
    fit = [row for row in rows if row.ok and all(len(r.scores.get(PRIMARY, ())) == examples for r in row.ok)]
    if examples < 2 or len(fit) < 2:
        return {}
    from reports.stats import Resampler, differences

    seeds = {row.variant: [record.seed for record in row.ok] for row in fit}
    return differences({row.variant: _scores(row) for row in fit}, seeds, Resampler(examples))


def of_limit(row: Row, limit: Limit) -> str:
    """Says that the interval of a row's quality reaches beyond a limit on it; empty where it does not or is unknown."""
    counts = {len(record.scores.get(PRIMARY, ())) for record in row.ok}
    if len(counts) != 1 or min(counts) < 2:
        return ""
    from reports.stats import Resampler, intervals

    (found,) = intervals([_scores(row)], Resampler(counts.pop()))
    if found is None:
        return ""
    beyond = found.low < limit.bound if limit.side == "min" else found.high > limit.bound
    over = "examples, with one seed," if found.seeds < 2 else f"examples and {found.seeds} seeds"
    interval = f"the 95% interval over {over} is {found.low:.3f} to {found.high:.3f}"
    return f"{limit.flag} is not sure to hold: {interval}." if beyond else ""


def _scores(row: Row) -> np.ndarray:
    """(seeds, examples)."""
    import numpy as np

    return np.array([record.scores[PRIMARY] for record in row.ok])


def apart(difference: Difference) -> bool:
    """Whether two methods are told apart; with one seed, whether their two trained models are."""
    return difference.told_apart if difference.interval.seeds > 1 else difference.models_told_apart


def in_quality(first: str, second: str, difference: Difference | None) -> str:
    """What the difference of two methods supports; `None` where there are no scores that could be compared."""
    title = METRICS[PRIMARY].title
    if difference is None:
        return (
            f"no interval can be given, since the records hold no {title} of the same examples for both (those before "
            "schema version 3 hold none)."
        )
    found = difference.interval
    lead = f"{found.mean:+.3f} {title} against {second} (95% interval {found.low:+.3f} to {found.high:+.3f})"
    odds = f"probability of improvement {difference.improvement:.2f}"
    if found.seeds < 2:
        models = "are told apart" if difference.models_told_apart else "are not told apart even so"
        return (
            f"one seed only: {lead}, {odds}. This is about these two trained models, which {models}, and not about the "
            f"methods: whether {first} is the better one takes more seeds."
        )
    chance = "p < 0.001" if difference.p_holm < 0.001 else f"p = {difference.p_holm:.3f}"
    if difference.told_apart:
        return f"told apart over {found.seeds} seeds: {lead}, {chance}, {odds}."
    return f"not told apart over {found.seeds} seeds: {lead}, {chance}, {odds}. Either may be the better one."


def in_cost(first: Row, second: Row, metric: Metric) -> str:
    """Whether a method took less than another with every seed."""
    ours, theirs = first.values(metric.name), second.values(metric.name)
    spans = f"{_span(ours, metric)} against {_span(theirs, metric)} of {second.variant}"
    if len(ours) < 2 or len(theirs) < 2:
        return f"one seed only: {metric.title} {spans}; another run may differ."
    if max(ours) < min(theirs):
        return f"{metric.title} was less with every seed: {spans}."
    return f"the seeds overlap: {metric.title} {spans}. Either may be the cheaper one."


def _span(values: Sequence[float], metric: Metric) -> str:
    ends = dict.fromkeys(format_value(value, metric.unit) for value in (min(values), max(values)))
    return " to ".join(ends)

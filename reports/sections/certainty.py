"""How sure a recommendation is: whether the method that it names is told apart from the runner-up, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.limits import Limit
from reports.analysis.standing import Standing
from reports.analysis.stats import Difference
from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import METRICS, PRIMARY, Metric


def of_limit(standing: Standing, row: Row, limit: Limit) -> str:
    """Says that the interval of a row's quality reaches beyond a limit on it; empty where it does not or is unknown."""
    found = standing.resampled_intervals(PRIMARY).get(row.variant)
    if found is None:
        return ""
    beyond = found.low < limit.bound if limit.side == "min" else found.high > limit.bound
    over = "examples, with one seed," if found.seeds < 2 else f"examples and {found.seeds} seeds"
    interval = f"the 95% interval over {over} is {found.low:.3f} to {found.high:.3f}"
    return f"{limit.flag} is not sure to hold: {interval}." if beyond else ""


def over_base(standing: Standing, row: Row) -> str:
    """Says that a row's gain over the untouched model may be chance; empty where it is told apart or unknown."""
    found = standing.difference_from_base(row)
    if found is None or found.apart:
        return ""
    interval = f"95% interval {found.interval.low:+.3f} to {found.interval.high:+.3f}, p = {found.p_shown:.2g}"
    return f"{row.variant} is not told apart from the untouched model ({interval}): it may gain nothing."


def in_quality(first: str, second: str, difference: Difference | None) -> str:
    """What the difference of two methods supports; `None` where there are no scores that could be compared."""
    title = METRICS[PRIMARY].title
    if difference is None:
        return (
            f"no interval can be given: the records hold no {title} of the same examples and seeds for both (those "
            "before schema version 3 hold none)."
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
    if difference.told_apart and found.mean < 0:
        return f"{second} scored higher on the seeds that both have, told apart over {found.seeds}: {lead}, {chance}."
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

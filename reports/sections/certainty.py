"""How sure a recommendation is: whether the method that it names differs significantly from the runner-up."""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.limits import Limit
from reports.analysis.standing import Standing
from reports.analysis.stats import Difference
from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import METRICS, PRIMARY, Metric


def describe_limit(standing: Standing, row: Row, limit: Limit) -> str:
    """Says that the interval of a row's quality reaches beyond a limit on it; empty where it does not or is unknown."""
    found = standing.resampled_intervals(PRIMARY).get(row.variant)
    if found is None:
        return ""
    beyond = found.low < limit.bound if limit.side == "min" else found.high > limit.bound
    over = "examples, with one seed," if found.seeds < 2 else f"examples and {found.seeds} seeds"
    interval = f"the 95% interval over {over} is {found.low:.3f} to {found.high:.3f}"
    return f"{limit.flag} is not sure to hold: {interval}." if beyond else ""


def describe_gain_over_base(standing: Standing, row: Row) -> str:
    """Says that a row's gain over the untouched model may be chance; empty where it is significant or unknown."""
    found = standing.difference_from_base(row)
    if found is None or found.significant:
        return ""
    interval = f"95% interval {found.interval.low:+.3f} to {found.interval.high:+.3f}, p = {found.p_shown:.2g}"
    return f"{row.variant} is not significantly different from the untouched model ({interval}): it may gain nothing."


def describe_quality_difference(first: str, second: str, difference: Difference | None) -> str:
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
        models = (
            "are significantly different" if difference.models_differ else "are not significantly different even so"
        )
        return (
            f"one seed only: {lead}, {odds}. This is about these two trained models, which {models}, and not about the "
            f"methods: whether {first} is the better one takes more seeds."
        )
    chance = "p < 0.001" if difference.p_holm < 0.001 else f"p = {difference.p_holm:.3f}"
    if difference.methods_differ and found.mean < 0:
        return f"{second} scored significantly higher on the {found.seeds} seeds that both have: {lead}, {chance}."
    if difference.methods_differ:
        return f"significantly different over {found.seeds} seeds: {lead}, {chance}, {odds}."
    return (
        f"not significantly different over {found.seeds} seeds: {lead}, {chance}, {odds}. Either may be the better one."
    )


def describe_cost_difference(first: Row, second: Row, metric: Metric) -> str:
    """Whether a method took less than another with every seed."""
    ours, theirs = first.values(metric.name), second.values(metric.name)
    spans = f"{_format_range(ours, metric)} against {_format_range(theirs, metric)} of {second.variant}"
    if len(ours) < 2 or len(theirs) < 2:
        return f"one seed only: {metric.title} {spans}; another run may differ."
    if max(ours) < min(theirs):
        return f"{metric.title} was less with every seed: {spans}."
    return f"the seeds overlap: {metric.title} {spans}. Either may be the cheaper one."


def _format_range(values: Sequence[float], metric: Metric) -> str:
    ends = dict.fromkeys(format_value(value, metric.unit) for value in (min(values), max(values)))
    return " to ".join(ends)

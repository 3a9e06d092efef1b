"""Which method to use within given limits, why, what comes second, and how sure that is; or what fails by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from reports.analysis import mixed, pareto
from reports.analysis.limits import Limit, Miss, find_judged_value, find_miss
from reports.analysis.standing import TIE, Standing
from reports.analysis.tables import Row
from reports.format import format_gain, format_value, replace_hidden
from reports.records.metrics import METRICS, PRIMARY
from reports.sections import certainty, scoring

Preference = Literal["quality", "memory", "time", "size"]
PREFERENCES: tuple[Preference, ...] = get_args(Preference)
_WORTH_SAYING = 0.05
"""Share from which on one cost counts as lower than another."""


@dataclass(frozen=True)
class Answer:
    """The recommendation for one table."""

    heading: str
    method: str | None
    """`None` where nothing qualifies."""
    lines: tuple[tuple[str, str], ...]
    """(label, text) pairs."""

    def __str__(self) -> str:
        """For a terminal."""
        width = max((len(label) for label, _ in self.lines), default=0)
        body = [f"  {label.ljust(width)}  {replace_hidden(' '.join(text.split()))}" for label, text in self.lines]
        return "\n".join([replace_hidden(" ".join(self.heading.split())), *body])


def recommend_methods(
    standings: Sequence[Standing], limits: Sequence[Limit], prefer: Preference = "quality"
) -> tuple[Answer, ...]:
    """One answer for each table; several are numbered, and each says what sets it apart."""
    marks = mixed.build_marks([standing.table.key for standing in standings])
    made = []
    for number, (standing, mark) in enumerate(zip(standings, marks, strict=True), start=1):
        record = standing.table.records[0]
        heading = f"{record.model.name} on {record.task.name}"
        heading = f"{number}. {heading} ({mark})" if len(standings) > 1 else heading
        made.append(_recommend(standing, heading, limits, prefer))
    return tuple(made)


def _recommend(standing: Standing, heading: str, limits: Sequence[Limit], prefer: Preference) -> Answer:
    rows = [row for row in standing.table.rows if row.role == "candidate"]
    by = {"quality": PRIMARY, "time": "train_seconds", "size": "shipped_bytes"}.get(
        prefer
    ) or pareto.choose_memory_metric(rows)
    judged = [(limit, limit.metric(rows)) for limit in limits]
    misses = {row.variant: _find_misses(row, standing, judged, by) for row in rows}
    warning = [("warning", text)] if (text := mixed.describe_mixture(standing.table)) else []
    warning += [("warning", text) for text in scoring.list_blind_spots(standing.table.records)]
    # A method that failed with one seed may fail again; it comes after all that did not.
    fit = sorted(
        (row for row in rows if not misses[row.variant]), key=lambda row: (bool(row.failed), *_order_by(row, by))
    )
    if not fit:
        return Answer(heading, None, (*warning, *_explain_nothing(rows, misses)))
    first, others = fit[0], fit[1:]
    lines = [("recommended", first.variant), ("why", _explain_choice(first, standing, by, fit, len(rows), judged))]
    if others:
        lines += [("runner-up", f"{others[0].variant}: {_describe_numbers(others[0], standing, by)}")]
    lines += [("how sure", _describe_certainty(first, others, standing, by))]
    lines += [
        ("cheaper", text) for row in others if by == PRIMARY and (text := _describe_savings(first, row, rows, standing))
    ]
    lines += [("note", text) for text in _list_notes(first, others, standing, by, judged)]
    lines += [
        ("left out", f"{name}: {'; '.join(miss.text for miss in missed)}") for name, missed in misses.items() if missed
    ]
    return Answer(heading, first.variant, (*warning, *lines))


def _find_misses(row: Row, standing: Standing, judged: Sequence[tuple[Limit, str]], by: str) -> list[Miss]:
    if not row.ok:
        return [Miss(f"{_describe_failures(row)}, so it has no result", math.inf)]
    if row.mean(by) is None:
        return [Miss(f"no {METRICS[by].title} was measured", math.inf)]
    missed = [found for limit, metric in judged if (found := find_miss(row, limit, metric))]
    mean, over = row.mean(PRIMARY), standing.gain(row)
    if mean is not None and over is not None and over <= 0:
        numbers = f"{METRICS[PRIMARY].title} {format_value(mean, 'score')}, {format_gain(over)}"
        missed.append(Miss(f"it does not beat the untouched model ({numbers})", over and over / (over - mean)))
    return missed


def _describe_failures(row: Row) -> str:
    """How the failed seeds of a row ended."""
    return ", ".join(
        f"seed {record.seed} ended {record.status}" + (f" ({record.message})" if record.message else "")
        for record in row.failed
    )


def _order_by(row: Row, by: str) -> tuple[float, float, float, str]:
    """Best first; of rows that agree the one of higher quality, then the one that trains faster."""
    quality, mean, time = row.mean(PRIMARY), row.mean(by) or 0.0, row.mean("train_seconds")
    lead = -round(mean, TIE) if METRICS[by].direction == "higher" else mean
    return lead, math.inf if quality is None else -round(quality, TIE), math.inf if time is None else time, row.variant


def _explain_nothing(rows: Sequence[Row], misses: dict[str, list[Miss]]) -> list[tuple[str, str]]:
    if not rows:
        return [("recommended", "nothing: no method was tried here")]
    far = {name: max(miss.share for miss in missed) for name, missed in misses.items()}
    names = sorted(far, key=lambda name: (far[name], name))
    told = [f"{name}: {'; '.join(miss.text for miss in misses[name])}" for name in names]
    labels = ["nearest miss" if far[names[0]] < math.inf else "left out", *("left out" for _ in told[1:])]
    return [("recommended", "nothing: no method qualifies"), *zip(labels, told, strict=True)]


def _explain_choice(
    first: Row, standing: Standing, by: str, fit: Sequence[Row], of: int, judged: Sequence[tuple[Limit, str]]
) -> str:
    best = "highest" if METRICS[by].direction == "higher" else "lowest"
    place = "the only method tried" if of == 1 else f"the only one of {of} methods that qualifies"
    whole = [row for row in fit if not row.failed]
    if len(fit) > 1:
        rivals = whole if whole and first in whole else fit
        ended = "" if len(rivals) == len(fit) else " and ended ok with every seed"
        place = f"the {best} of the {len(rivals)} methods that qualify{ended} ({of} tried)"
        if len(rivals) == 1:
            place = f"the only one of {of} methods that qualifies and ended ok with every seed"
    kept = ", ".join(
        f"{limit.flag} ({METRICS[name].title} {format_value(find_judged_value(first, name), METRICS[name].unit)})"
        for limit, name in judged
    )
    return f"{_describe_numbers(first, standing, by, place)}" + (f"; it keeps {kept}." if kept else ".")


def _describe_numbers(row: Row, standing: Standing, by: str, place: str = "") -> str:
    """The number that a row is chosen by and what place that is, and its quality."""
    metric, mean, over = METRICS[by], row.mean(PRIMARY), standing.gain(row)
    above = "" if over is None else f" ({format_gain(over)} over the base)"
    quality = "" if mean is None else f"{METRICS[PRIMARY].title} {format_value(mean, 'score')}{above}"
    chosen = quality if by == PRIMARY else f"{metric.title} {format_value(row.mean(by), metric.unit)}"
    return ", ".join(filter(None, (chosen, place, quality if by != PRIMARY else "")))


def _describe_certainty(first: Row, others: Sequence[Row], standing: Standing, by: str) -> str:
    if standing.table.parts:
        return "not at all, since the rows differ in more than the method."
    if not others:
        base = standing.table.base_of(first)
        found = standing.difference_from_base(first)
        if base is None or found is None:
            return "nothing else qualifies, so there is nothing to choose between."
        return f"nothing else qualifies. {certainty.describe_quality_difference(first.variant, base.variant, found)}"
    if by != PRIMARY:
        return certainty.describe_cost_difference(first, others[0], METRICS[by])
    second = others[0].variant
    return certainty.describe_quality_difference(first.variant, second, standing.difference(first.variant, second))


def _describe_savings(first: Row, row: Row, rows: Sequence[Row], standing: Standing) -> str:
    """What a row saves that is not significantly different from the recommended one; empty for all others."""
    difference = standing.difference(first.variant, row.variant)
    if difference is None or difference.significant:
        return ""
    costs = {pareto.choose_memory_metric(rows): "memory", "train_seconds": "train time", "shipped_bytes": "to ship"}
    means = [(what, first.mean(name), row.mean(name)) for name, what in costs.items()]
    shares = {what: theirs / ours - 1 for what, ours, theirs in means if ours and theirs is not None}
    less = ", ".join(f"{-share:.0%} less {what}" for what, share in shares.items() if share <= -_WORTH_SAYING)
    more = ", ".join(f"{share:.0%} more {what}" for what, share in shares.items() if share >= _WORTH_SAYING)
    though = f", though {more}" if more else ""
    return (
        f"{row.variant} is not significantly different from {first.variant} and takes {less}{though}." if less else ""
    )


def _list_notes(
    first: Row, others: Sequence[Row], standing: Standing, by: str, judged: Sequence[tuple[Limit, str]]
) -> list[str]:
    notes = [certainty.describe_limit(standing, first, limit) for limit, name in judged if name == PRIMARY]
    notes.append(certainty.describe_gain_over_base(standing, first))
    if first.failed:
        notes.append(f"{first.variant} is not sure to work: {_describe_failures(first)}.")
    better = [row for row in others if row.failed and not first.failed and _order_by(row, by) < _order_by(first, by)]
    notes += [f"{row.variant} would come first, but is not sure to work: {_describe_failures(row)}." for row in better]
    return [note for note in notes if note]

"""What a table says in a sentence or two: which methods are best, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.analysis.standing import TIE, Place, Standing
from reports.analysis.stats import Difference
from reports.analysis.tables import Row
from reports.format import format_gain, format_value
from reports.records.metrics import PRIMARY
from reports.sections.scoring import explain_missing_primary

_NAMED = 8
"""Most names in one sentence."""
_MORE_SEEDS = "Run it again with --seeds 0,1,2 or more: what is finished is kept."


def summarize(standing: Standing) -> str:
    """Which methods are best, and whether that is more than chance."""
    ranked = [place for place in standing.places if place.rank is not None]
    if not ranked:
        unseen = explain_missing_primary(standing.table.records)
        return f"No method can be ranked: {unseen}." if unseen else "No method has a result yet."
    first = ranked[0]
    equal = [place for place in ranked if _round_mean(place) == _round_mean(first)]
    others = [place.row for place in ranked if place not in equal] or [place.row for place in equal[1:]]
    return " ".join(
        filter(None, (_name_the_best(standing, ranked, equal), _describe_certainty(standing, first.row, others)))
    )


def describe_gain(standing: Standing, place: Place) -> str:
    """A row's gain over the base, and whether it may be chance; empty where there is no gain."""
    if place.gain is None:
        return ""
    found = standing.difference_from_base(place.row)
    chance = (
        f", not significantly different from it: p = {found.p_shown:.2g}"
        if found is not None and not found.significant
        else ""
    )
    return f"{format_gain(place.gain)} {'over' if place.gain > 0 else 'against'} the base{chance}"


def count_seeds(row: Row) -> str:
    """How many seeds a row's mean is of, and of how many that were tried where some failed."""
    done = len(row.ok)
    return f"{done} of {done + len(row.failed)}" if done and row.failed else str(done or "")


def _name_the_best(standing: Standing, ranked: Sequence[Place], equal: Sequence[Place]) -> str:
    first = ranked[0]
    names = " and ".join(place.row.variant for place in equal)
    score, over = format_value(first.row.mean(PRIMARY), "score"), describe_gain(standing, first)
    failed = f" {count_seeds(first.row)} seeds ended ok." if first.row.failed else ""
    if first.gain is not None and first.gain <= 0:
        return f"No method beats the base in ROUGE-L; the highest is {names}, {score} ({over}).{failed}"
    lead = "Highest ROUGE-L"
    if any(_round_mean(place) > _round_mean(first) for place in ranked):  # it has the higher mean of other seeds
        lead = "Best in ROUGE-L on the seeds that rows have in common"
    return f"{lead}: {names}, {score}{f' ({over})' if over else ''}.{failed}"


def _describe_certainty(standing: Standing, first: Row, others: Sequence[Row]) -> str:
    """Which rows are significantly different from the first one, by the seeds that each has in common with it."""
    if not others or standing.table.parts:
        return ""
    found = {row.variant: standing.difference(first.variant, row.variant) for row in others}
    known = {name: difference for name, difference in found.items() if difference is not None}
    if not known:
        counts = {len(row.values(PRIMARY)) for row in (first, *others)}
        if max(counts) < 2:
            return f"One seed cannot tell whether differences between methods are real. {_MORE_SEEDS}"
        if all(row.scores(PRIMARY) for row in (first, *others)):
            return f"It has no seed in common with the others, so nothing is known of differences. {_MORE_SEEDS}"
        seeds = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        return f"Means over {seeds} seeds; without the scores of examples nothing is known of differences."
    if all(difference.interval.seeds < 2 for difference in known.values()):
        few = "One seed cannot" if len(standing.table.seeds) < 2 else "With one seed in common, a run cannot"
        return f"{few} tell whether differences between methods are real. {_MORE_SEEDS}"
    return _group_by_significance(found)


def _group_by_significance(found: Mapping[str, Difference | None]) -> str:
    several = {name: difference for name, difference in found.items() if difference and difference.interval.seeds > 1}
    different = [name for name, difference in several.items() if difference.methods_differ]
    groups = {
        "Not significantly different from it": [name for name in several if name not in different],
        "Significantly different from it": different,
        "Not compared, because they have fewer than two seeds in common": [
            name for name in found if name not in several
        ],
    }
    said = [f"{what}: {_join_names(names)}." for what, names in groups.items() if names]
    counts = sorted({difference.interval.seeds for difference in several.values()})
    seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    said.append(f"({seeds} seeds, 95% level, all pairs accounted for.)")
    if (
        counts[-1] == 2 and not different
    ):  # the spread of seeds is known from one difference, and Holm asks for a tiny p
        said.append("With two seeds hardly any difference is significant; three or more are needed.")
    return " ".join(said)


def _join_names(names: Sequence[str]) -> str:
    """The names, or the first of many and how many more."""
    shown = names if len(names) <= _NAMED else names[: _NAMED - 1]
    more = [f"and {len(names) - len(shown)} more"] if len(shown) < len(names) else []
    return ", ".join([*shown, *more])


def _round_mean(place: Place) -> float:
    return round(place.row.mean(PRIMARY) or 0.0, TIE)

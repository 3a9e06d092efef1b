"""What a table says in a sentence or two: which methods are best, and whether that is more than chance."""

from __future__ import annotations

from reports.aggregate import Table
from reports.format import format_gain, format_value
from reports.metrics import PRIMARY
from reports.rank import TIE, Place, places


def of(table: Table) -> str:
    """Which methods are best, and whether that is more than chance."""
    ranked = [place for place in places(table) if place.rank is not None]
    if not ranked:
        return "No method has a result yet."
    equal = [place for place in ranked if round(place.row.mean(PRIMARY) or 0.0, TIE) == _rounded(ranked[0])]
    names = " and ".join(place.row.variant for place in equal)
    score, gain = format_value(ranked[0].row.mean(PRIMARY), "score"), ranked[0].gain
    said = f"Highest ROUGE-L: {names}, {score}{'' if gain is None else f' ({format_gain(gain)} over the base)'}."
    if gain is not None and gain <= 0:
        said = f"No method beats the base in ROUGE-L; the highest is {names}, {score} ({format_gain(gain)})."
    if len(ranked) < 2 or table.parts:
        return said
    counts = sorted({len(place.row.values(PRIMARY)) for place in ranked})
    if counts[-1] > 1 and not table.verdict.differences:
        seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        return f"{said} Means over {seeds} seeds; without the scores of examples nothing is known of differences."
    if table.verdict.seeds < 2:
        few = "One seed" if counts[-1] < 2 else "Without two seeds in common, a run"
        what = "cannot tell whether differences between methods are real"
        return f"{said} {few} {what}. Run it again with --seeds 0,1,2 or more: what is finished is kept."
    others = [place.row.variant for place in ranked if place not in equal]
    found = {name: table.verdict.difference(ranked[0].row.variant, name) for name in others}
    for what, apart in (("Not told apart from it", False), ("Told apart from it", True)):
        if held := [name for name, difference in found.items() if difference and difference.told_apart is apart]:
            said += f" {what}: {', '.join(held)}."
    return f"{said} ({table.verdict.seeds} seeds, 95% level, all pairs accounted for.)"


def _rounded(place: Place) -> float:
    return round(place.row.mean(PRIMARY) or 0.0, TIE)

"""The part of a report on methods that learn from preferences or rewards: what they learned, and what it is worth."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reports.analysis.tables import Row
from reports.format import format_value
from reports.records.metrics import CHANGES, METRICS, PREFERENCE_LEARNING
from reports.records.record import Phase, Record
from reports.sections.chapter import Chapter, Figure
from reports.sections.grid import Grid
from reports.svg import curves

_POLICY = (
    "reward",
    "reward_gain_sd",
    "policy_kl",
    "policy_entropy",
    "policy_response_tokens",
    "policy_unended_percent",
)
_JUDGE = (
    "pair_accuracy",
    "pair_margin",
    "pair_calibration_error",
    "reference_wins",
    "reward_agreement",
    "preference_accuracy",
    "heldout_quality",
)
_STAGE = "train."
_STAGES = (
    *("warm_start", "preferences", "reward_model"),
    *("held_out_start", "policy", "preference_tuning", "held_out_final"),
)
"""In the order in which they happen; those of plugins come after."""
_MEASURED = ("seconds", "peak_tensor_bytes", "peak_device_allocated_bytes", "peak_host_bytes")
_SPEEDS = ("sampled_tokens_per_second", "learned_tokens_per_second")
_KNOWN_DETAILS = ("preferences", "warm_start", "reward", "policy", "preference_tuning")
_FALLS = {"heldout_quality": 0.02, "preference_accuracy": 0.05, "reward_agreement": 0.15}
"""What may fall by how much before it counts as a fall: about a standard error of the difference for ROUGE-L over 48
prompts, two for shares of 200 and 48 pairs."""
_POOR_JUDGE = 0.6
"""Pair accuracy below which a reward model says little; 0.5 is chance."""


def build_chapter(rows: Sequence[Row], file: str) -> Chapter | None:
    """On those rows which learned from preferences or rewards, `None` where none did; `file` is the plot's."""
    learned = [row for row in rows if _has_learned(row)]
    grids = (
        (
            "Reward and policy",
            _build_numbers(learned, _POLICY, (("reward from", _name_rewards), ("warm start", _name_warm_starts))),
        ),
        ("What the judge is worth", _build_numbers(learned, _JUDGE)),
        ("Stages of training", _build_stages(learned)),
    )
    shown = tuple((heading, grid) for heading, grid in grids if grid.rows)
    figures = _build_figures(learned, file)
    if not (shown or figures):
        return None
    return Chapter("Preference learning", grids=shown, footnotes=_list_footnotes(learned), figures=figures)


def list_notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """What must stand at the top of every report with these rows."""
    names = [row.variant for row in rows if any(_read_detail(r, "preferences").get("derived") is True for r in row.ok)]
    return (f"{', '.join(names)}: derived preferences, no human judged them.",) if names else ()


def list_warnings(rows: Sequence[Row]) -> tuple[str, ...]:
    """A sentence for each row whose reward may be hacked, and for each whose reward model is close to chance."""
    said = []
    for row in rows:
        accuracy = row.mean("pair_accuracy")
        if accuracy is not None and accuracy < _POOR_JUDGE:
            said.append(
                f"{row.variant}: the reward model ranks only {accuracy:.3f} of the held-out pairs right (chance is "
                "0.5); a reward from it says little."
            )
        start, final = _find_change(row, "reward")
        falls = _find_falls(row)
        if start is not None and final is not None and final > start and falls:
            said.append(
                f"{row.variant}: reward rises from {format_value(start, 'reward')} to {format_value(final, 'reward')} "
                f"while {' and '.join(falls)}; the policy may be exploiting the reward (reward hacking)."
            )
    return tuple(said)


def _find_falls(row: Row) -> list[str]:
    falls = []
    for name, tolerated in _FALLS.items():
        start, final = _find_change(row, name)
        if start is not None and final is not None and round(start - final, 9) > tolerated:  # 0.5 − 0.49 is above 0.01
            falls.append(f"{CHANGES[name]} falls from {start:.3f} to {final:.3f}")
    return falls


def _has_learned(row: Row) -> bool:
    told = any(_read_detail(record, name) for record in row.ok for name in _KNOWN_DETAILS)
    return told or any(row.values(name) for name in PREFERENCE_LEARNING)


def _build_numbers(
    rows: Sequence[Row], names: Sequence[str], texts: Sequence[tuple[str, Callable[[Row], str]]] = ()
) -> Grid:
    """A line for each row that has any of it; columns that are empty everywhere are left out."""
    titles = [CHANGES.get(name) or METRICS[name].title for name in names]
    body = [
        (row.variant, *(text(row) for _, text in texts), *(_format_cell(row, name) for name in names)) for row in rows
    ]
    return _drop_empty(("method", *(title for title, _ in texts), *titles), body, words=1 + len(texts))


def _format_cell(row: Row, name: str) -> str:
    if name not in CHANGES:
        return format_value(row.mean(name), METRICS[name].unit)
    values = _find_change(row, name)
    unit = METRICS[f"{name}_start"].unit
    return " → ".join(format_value(value, unit) for value in values) if values != (None, None) else ""


def _find_change(row: Row, name: str) -> tuple[float | None, float | None]:
    """Means before and after over the seeds that measured both; where no seed did, of what there is."""
    pairs = [(record.metrics.get(f"{name}_start"), record.metrics.get(f"{name}_final")) for record in row.ok]
    both = [(start, final) for start, final in pairs if start is not None and final is not None]
    if not both:
        return row.mean(f"{name}_start"), row.mean(f"{name}_final")
    return statistics.fmean(start for start, _ in both), statistics.fmean(final for _, final in both)


def _name_rewards(row: Row) -> str:
    return _join_texts(_read_detail(record, "reward").get("name") for record in row.ok)


def _name_warm_starts(row: Row) -> str:
    return _join_texts(_read_detail(record, "warm_start").get("from") for record in row.ok)


def _join_texts(values: Any) -> str:
    """Each text once; the seeds of a row may start from different trials."""
    return "; ".join(dict.fromkeys(value for value in values if isinstance(value, str)))


def _build_stages(rows: Sequence[Row]) -> Grid:
    body = []
    for row in rows:
        told = {name.removeprefix(_STAGE) for record in row.ok for name in record.phases if name.startswith(_STAGE)}
        for stage in sorted(told, key=lambda name: (_STAGES.index(name) if name in _STAGES else len(_STAGES), name)):
            phases = [phase for record in row.ok if (phase := record.phases.get(f"{_STAGE}{stage}")) is not None]
            speeds = [_format_cell(row, name) if stage == "policy" else "" for name in _SPEEDS]
            body.append((row.variant, stage.replace("_", " "), *_format_phases(phases), *speeds))
    titles = ("time", *(METRICS[name].title for name in (*_MEASURED[1:], *_SPEEDS)))
    return _drop_empty(("method", "stage", *titles), body, words=2)


def _format_phases(phases: Sequence[Phase]) -> list[str]:
    cells = []
    for name in _MEASURED:
        values = [value for phase in phases if (value := getattr(phase, name)) is not None]
        cells.append(format_value(statistics.fmean(values) if values else None, "s" if name == "seconds" else "bytes"))
    return cells


def _drop_empty(header: Sequence[str], body: Sequence[tuple[str, ...]], words: int) -> Grid:
    """Lines and columns that say nothing are left out; the first `words` columns hold words."""
    rows = [row for row in body if any(row[1:])]
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return Grid(
        tuple(header[column] for column in kept),
        tuple(column >= words for column in kept),
        tuple(tuple(row[column] for column in kept) for row in rows),
    )


def _list_footnotes(rows: Sequence[Row]) -> tuple[str, ...]:
    changes = [name for name in CHANGES if any(_format_cell(row, name) for row in rows)]
    said = []
    if changes:
        said.append("a → b: of the warm start, then of the final policy.")
    if "reward" in changes:
        said.append(
            "Rewards of different reward models cannot be compared, those of two methods or seeds included; the gain "
            "in standard deviations of the warm start's rewards can."
        )
        if len(changes) > 1:
            said.append(
                f"A reward that rises while held-out ROUGE-L falls by more than {_FALLS['heldout_quality']:g}, "
                f"preference accuracy by more than {_FALLS['preference_accuracy']:g} or agreement by more than "
                f"{_FALLS['reward_agreement']:g} brings a warning of reward hacking."
            )
    return tuple(said)


def _build_figures(rows: Sequence[Row], file: str) -> tuple[Figure, ...]:
    panels = tuple(panel for row in rows if (panel := _build_panel(row)).series)
    if not panels:
        return ()
    told = [_describe_series(panel, series) for panel in panels for series in panel.series]
    description = f"Reward against KL over training. {' '.join(told)}"
    caption = (
        "Each batch that the policy sampled in training: its mean reward, and its KL to the warm start. Dots are "
        "batches, lines are means over neighbours, stronger with time."
    )
    plot = curves.Plot("KL to the warm start (nats per response)", panels, description)
    return (Figure("Reward against KL", plot, file, caption),)


def _build_panel(row: Row) -> curves.Panel:
    series = [curves.Series(f"seed {record.seed}", _find_points(record)) for record in row.ok]
    name = _name_rewards(row)
    return curves.Panel(
        row.variant, f"mean reward ({name})" if name else "mean reward", tuple(s for s in series if s.points)
    )


def _find_points(record: Record) -> tuple[curves.Point, ...]:
    """What of a trial's curve can be drawn, in its own order."""
    curve = _read_detail(record, "policy").get("curve")
    points = [(point.get("kl"), point.get("reward")) for point in _read_items(curve) if isinstance(point, Mapping)]
    return tuple(
        (float(kl), float(reward)) for kl, reward in points if curves.is_drawable(kl) and curves.is_drawable(reward)
    )


def _describe_series(panel: curves.Panel, series: curves.Series) -> str:
    (first_kl, first), (last_kl, last) = (curves.smooth(series.points)[index] for index in (0, -1))
    return (
        f"{panel.title} {series.name}: from {format_value(first, 'reward')} at {format_value(first_kl, 'nats')} nats "
        f"to {format_value(last, 'reward')} at {format_value(last_kl, 'nats')} nats."
    )


def _read_detail(record: Record, name: str) -> Mapping[str, Any]:
    """What a method reports about itself under a name. What has another shape is ignored."""
    value = record.details.get(name)
    return value if isinstance(value, Mapping) else {}


def _read_items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()

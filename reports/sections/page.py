"""What a leaderboard says, as plain texts: the one source of the Markdown and the HTML report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.analysis import general_text, mixed
from reports.analysis.standing import Place, Standing
from reports.analysis.tables import Table
from reports.analysis.tables import find_differing_fields as differing_fields
from reports.format import format_gain, format_value
from reports.records.metrics import METRICS, PRIMARY, Metric, find_contested_metrics
from reports.records.record import Record
from reports.sections import (
    conditions,
    differences,
    learning_curves,
    outputs,
    preference_learning,
    scoring,
    settings,
    summary,
    trade_offs,
    tuning,
)
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid

TITLE = "Fine-tuning methods compared"
GAIN = "gain"
INTERVAL = "interval"
COLUMNS = (
    "rouge1",
    "rouge2",
    "rougeL",
    INTERVAL,
    "rougeLsum",
    GAIN,
    "heldout_loss",
    "forgetting",
    "trainable_parameters",
    "trainable_percent",
    "peak_device_allocated_bytes",
    "peak_host_bytes",
    "peak_tensor_bytes",
    "train_tokens_per_second",
    "train_seconds",
    "shipped_bytes",
    "energy_joules",
    "cost",
)
"""Metrics of the ranked table, in order; a column without any value is named below the table instead."""
_TITLES = {GAIN: "gain in ROUGE-L", INTERVAL: "95% interval"}
_FEW = 3
"""Rows that may all be printed as the best ones; of more, only as many as half of all."""
_MUCH_CUT = 0.1
"""Share of cut examples from which on a warning is due."""


@dataclass(frozen=True)
class Section:
    """One table of comparable results with all that a reader needs to judge it."""

    heading: str
    answer: str
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    ranking: Grid
    bars: tuple[float | None, ...]
    """By row of the ranking: the primary metric, 0 to 1."""
    footnotes: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    failures: Grid | None
    settings: Grid | None
    warnings: tuple[str, ...]


def build_sections(standings: Sequence[Standing], traded: Sequence[Metric] | None = None) -> tuple[Section, ...]:
    """One section per table; several are numbered, and each says in what it differs from the others.

    `traded` are the metrics whose Pareto front is shown, the usual ones if not given.
    """
    count = len(standings)
    differing = differing_fields([standing.table.key for standing in standings]) if count > 1 else []
    return tuple(_build_section(standing, n, count, differing, traded) for n, standing in enumerate(standings, start=1))


def _build_section(
    standing: Standing, number: int, of: int, differing: Sequence[str], traded: Sequence[Metric] | None
) -> Section:
    table, order, metrics = standing.table, standing.places, standing.metrics
    first = [part.records[0] for part in table.parts or (table,)]
    heading = ", ".join(dict.fromkeys(f"{record.model.name} on {record.task.name}" for record in first))
    rows = [place.row for place in order]
    names = [name for name in _list_columns(metrics) if _is_measured(name, order)]
    notes = [note for record in first for note in (record.model.note, record.task.note) if note]
    notes += preference_learning.list_notes(rows)
    if of > 1:
        heading = f"{number}. {heading}"
        notes.append(f"This table is separate because these differ: {', '.join(differing)}.")
    return Section(
        heading=heading,
        answer=" ".join(filter(None, (mixed.describe_mixture(table), summary.summarize(standing)))),
        notes=tuple(dict.fromkeys(notes)),
        facts=conditions.list_conditions(table),
        ranking=_build_ranking(standing, names),
        bars=tuple(place.row.mean(PRIMARY) for place in order),
        footnotes=_list_footnotes(standing, names),
        chapters=_build_chapters(standing, names, traded, "" if of == 1 else f"-{number}"),
        failures=_build_failures(table),
        settings=settings.build_settings_grid(table),
        warnings=(*preference_learning.list_warnings(rows), *tuning.list_warnings(rows), *_list_warnings(table)),
    )


def _build_chapters(
    standing: Standing,
    names: Sequence[str],
    traded: Sequence[Metric] | None,
    suffix: str,
) -> tuple[Chapter, ...]:
    """What there is to say beside the ranking; `suffix` ends the names of its plots."""
    rows = [place.row for place in standing.places]
    metrics = standing.metrics
    parts = (
        differences.build_chapter(standing, [metrics[name] for name in names if name in metrics]),
        trade_offs.build_chapter(standing, traded, f"trade-offs{suffix}.svg"),
        tuning.build_chapter(rows, standing.table.tries),
        outputs.build_chapter(rows),
        preference_learning.build_chapter(rows, f"reward-kl{suffix}.svg"),
        learning_curves.build_chapter(rows, f"learning-curve{suffix}.svg"),
    )
    return tuple(part for part in parts if part is not None)


def _is_measured(name: str, order: Sequence[Place]) -> bool:
    return any(_find_number(place, name) is not None for place in order)


def _list_columns(metrics: Mapping[str, Metric]) -> list[str]:
    """`COLUMNS`, with the metrics that do not come with every run after ROUGE."""
    after = COLUMNS.index("rougeLsum") + 1
    return [*COLUMNS[:after], *(name for name in metrics if name not in METRICS), *COLUMNS[after:]]


def _build_ranking(standing: Standing, names: Sequence[str]) -> Grid:
    table, order, metrics = standing.table, standing.places, standing.metrics
    titles = [_TITLES.get(name) or metrics[name].title for name in names]
    if INTERVAL in names and len(table.seeds) < 2:
        titles[names.index(INTERVAL)] += " (examples)"
    header = ("rank", "method", "seeds", *titles)
    best = [place for place in order if place.rank == 1 and not table.parts and (place.gain or 1) > 0]
    if len(best) > max(_FEW, sum(place.rank is not None for place in order) / 2):
        best = best[:1]  # where nearly all are first, that says nothing
    rows = []
    for place in order:
        cells = [_format_cell(standing, place, name) for name in names]
        rows.append((_format_rank(table, place), place.row.variant, summary.count_seeds(place.row), *cells))
    return Grid(
        header,
        (True, False, *(True for _ in header[2:])),
        tuple(rows),
        emphasised=tuple(place in best for place in order),
        values=tuple(
            (place.rank, None, len(place.row.ok) or None, *(_find_number(place, name) for name in names))
            for place in order
        ),
        lower_is_better=(
            True,
            True,
            False,
            *(name in metrics and metrics[name].direction == "lower" for name in names),
        ),
    )


def _find_number(place: Place, name: str) -> float | None:
    if name == INTERVAL:
        return place.row.mean(PRIMARY) if place.row.scores(PRIMARY) else None
    return place.gain if name == GAIN else place.row.mean(name)


def _format_rank(table: Table, place: Place) -> str:
    if place.rank is not None:
        return "–" if table.parts else str(place.rank)
    if place.row.role != "candidate":
        return "base" if place.row.role == "base" else "not ranked"
    return place.row.failed[-1].status if place.row.failed else "not measured"


def _format_cell(standing: Standing, place: Place, name: str) -> str:
    if name == GAIN:
        return format_gain(place.gain)
    if name == INTERVAL:
        found = standing.interval(place.row, PRIMARY) if place.row.scores(PRIMARY) else None
        return f"{found.low:.3f} to {found.high:.3f}" if found else ""
    text = format_value(place.row.mean(name), standing.metrics[name].unit)
    deviation = place.row.deviation(name) if name == PRIMARY and len(standing.table.seeds) > 1 else None
    return text if deviation is None else f"{text} ± {deviation:.3f}"


def _list_footnotes(standing: Standing, names: Sequence[str]) -> tuple[str, ...]:
    table, metrics = standing.table, standing.metrics
    more = [name for name in names if name not in METRICS and name in metrics]
    notes = [f"{metrics[name].title}: {metrics[name].formula}." for name in more]
    absent = [name for name in COLUMNS if name not in names and name in METRICS]
    if absent:
        notes.append(
            f"Not measured here: {', '.join(METRICS[name].title + _explain_absence(name, table) for name in absent)}."
        )
    if not any(row.role == "base" for row in table.all_rows):
        notes.append("There is no result of the base model, so no gain can be given.")
    lower = [metrics[name].title for name in names if name in metrics and metrics[name].direction == "lower"]
    if lower:
        notes.append(f"Lower is better in: {', '.join(lower)}; higher in all others.")
    if any(row.deviation(PRIMARY) is not None for row in table.rows):
        notes.append("± is the standard deviation over seeds.")
    if standing.differences:
        what = "methods" if len(table.seeds) > 1 else "these trained models, not of the methods"
        notes.append(
            f"A rank is 1 more than the number of rows that are significantly better: ranks are of {what}. Two rows "
            "are significantly different where, if they were equal, a difference this large would be found in fewer "
            "than 5% of such tables (p < 0.05, adjusted for all pairs)."
        )
    if "forgetting" in names:
        notes.append(general_text.describe_texts(table.records))
    return tuple(notes)


def _explain_absence(name: str, table: Table) -> str:
    """The reason in brackets, where the records give one."""
    accelerator = any(record.environment.hardware.get("devices") for record in table.records)
    reasons = {
        "peak_device_allocated_bytes": "" if accelerator else "no accelerator",
        "peak_tensor_bytes": "counted only without an accelerator" if accelerator else "",
        "energy_joules": "no energy counter",
        "forgetting": general_text.explain_absence(table.records),
        "cost": "no --price-per-hour",
    }
    return f" ({reasons[name]})" if reasons.get(name) else ""


def _list_warnings(table: Table) -> tuple[str, ...]:
    """What should make a reader doubt the numbers."""
    cut: dict[str, list[str]] = {}
    for row in table.all_rows:
        for split, count in conditions.count_cut_examples(row.ok).items():
            seen = conditions.count_examples_seen(row.ok, split)
            if seen and count > _MUCH_CUT * seen:
                said = f"{count:,} of {seen:,} {split} examples were cut to the token limits."
                cut.setdefault(said, []).append(row.variant)
    warnings = [f"{', '.join(variants)}: {said}" for said, variants in cut.items()]
    warnings += filter(None, map(conditions.describe_smaller_batches, table.records))
    warnings += scoring.list_warnings(table.records)
    seeds = {tuple(record.seed for record in row.ok) for row in table.rows if row.ok}
    if len(seeds) > 1 and not table.parts:
        warnings.append(
            "Rows do not all have the same seeds: their means are of different seeds, and two rows are compared on the "
            "seeds that both have."
        )
    hashes = {record.environment.code.get("hash") for record in table.records}
    if len(hashes) > 1:
        warnings.append(
            "These records were made with different versions of the harness's own code; `--rerun all` repeats them all."
        )
    if changed := find_contested_metrics(table.records):
        warnings.append(f"Not all records mean the same by {', '.join(changed)}: records.csv has what each declares.")
    if table.superseded:
        warnings.append(
            f"Records left out, because others have the same method and seed: {table.superseded}; records.csv has all."
        )
    return tuple(warnings)


def _build_failures(table: Table) -> Grid | None:
    rows = [_describe_failure(record) for row in table.all_rows for record in row.failed]
    if not rows:
        return None
    titles = ("method", "seed", "ending", "where", "log", "why")
    return Grid(titles, (False, True, False, False, False, False), tuple(rows))


def _describe_failure(record: Record) -> tuple[str, ...]:
    where = (record.phase or "") + (f", step {record.step}" if record.step else "")
    return record.variant, str(record.seed), record.status, where, record.log or "", record.message or ""


def add_problems(made: Sequence[Section], problems: Sequence[str]) -> tuple[Section, ...]:
    """The sections, the first of which names the files that were set aside."""
    if not problems or not made:
        return tuple(made)
    extra = tuple(f"Set aside, because it is not a record that can be read: {problem}." for problem in problems)
    return (dataclasses.replace(made[0], warnings=made[0].warnings + extra), *made[1:])

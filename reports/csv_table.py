"""Leaderboard and records as CSV: raw numbers, empty where nothing was measured, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.aggregate import Row, flatten
from reports.metrics import LEARNING_CURVES, METRICS, PREFERENCE_LEARNING, PRIMARY, known
from reports.record import Record
from reports.standing import Place, Standing

_FORMULA = re.compile(
    r"[\t\r\n]|[\s\0-\x20\x7f-\xa0\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫−]"
)
"""A text cell that begins so would be run as a formula by some spreadsheet; blanks and unseen signs may come first."""
DIFFERENCES = (
    *("table", "metric", "first", "second", "seeds", "difference", "low", "high"),
    *("p", "p_holm", "p_examples", "p_examples_holm", "effect_size", "probability_of_improvement"),
    *("told_apart", "models_told_apart"),
)
"""Columns of the file of all pairs."""
_LINE_END = re.compile(r"\r\n?")


def leaderboard(standings: Sequence[Standing]) -> str:
    """One line a variant and table, in the order of the leaderboard; metrics are means over seeds."""
    names = _names([record for standing in standings for record in standing.table.records])
    return write_csv(
        [_row(n, standing, place, names) for n, standing in enumerate(standings, start=1) for place in standing.places]
    )


def differences(standings: Sequence[Standing]) -> str:
    """Every pair of every table, in the primary metric: differences, intervals and p-values."""
    lines = [line for number, standing in enumerate(standings, start=1) for line in _pairs(number, standing)]
    return write_csv(lines, DIFFERENCES)


def records(trials: Sequence[Record]) -> str:
    """One line a trial with every field of its record; nested fields have dotted names, lists are JSON.

    Of curves only the length is given, and of the examples' scores nothing; the record has them.
    """
    names = _names(trials)
    return write_csv([_flat(record, names) for record in trials])


def _names(trials: Sequence[Record]) -> list[str]:
    """Metrics with a column: those that every method can have, and of the others those that a trial has."""
    had = {name for record in trials for name, value in record.metrics.items() if value is not None}
    always = METRICS.keys() - PREFERENCE_LEARNING - LEARNING_CURVES
    return [name for name in known(trials) if name in always or name in had]


def _row(number: int, standing: Standing, place: Place, names: Sequence[str]) -> dict[str, Any]:
    row = place.row
    record = row.records[0]
    fixed = {
        "table": number,
        "rank": place.rank,
        "variant": row.variant,
        "method": record.method,
        "role": row.role,
        "seeds": len(row.ok),
        "failed": len(row.failed),
        "status": "ok" if row.ok else row.failed[-1].status,
        "gain_rougeL": place.gain,
        **{name: row.mean(name) for name in names if name in METRICS},
        **{f"{name}_{end}": value for name in names for end, value in _spread(standing, row, name).items()},
        "model": record.model.name,
        "model_revision": record.model.revision,
        "dtype": record.model.dtype,
        "task": record.task.name,
        "task_fingerprint": record.task.fingerprint,
        "budget_unit": record.budget.get("unit"),
        "budget_amount": record.budget.get("amount"),
        "batch_size": record.training.get("batch_size"),
        "accumulation": record.training.get("accumulation"),
        "input_tokens": record.training.get("input_tokens"),
        "target_tokens": record.training.get("target_tokens"),
        "settings": json.dumps(record.settings, sort_keys=True),
        "message": row.failed[-1].message if row.failed else None,
    }
    others = [name for name in names if name not in METRICS]  # they may be called as a column is
    return fixed | {f"metrics.{name}" if name in fixed else name: row.mean(name) for name in others}


def _pairs(number: int, standing: Standing) -> Iterator[dict[str, object]]:
    for (first, second), found in standing.differences.items():
        yield {
            "table": number,
            "metric": PRIMARY,
            "first": first,
            "second": second,
            "seeds": found.interval.seeds,
            "difference": found.interval.mean,
            "low": found.interval.low,
            "high": found.interval.high,
            "p": found.p,
            "p_holm": found.p_holm,
            "p_examples": found.p_examples,
            "p_examples_holm": found.p_examples_holm,
            "effect_size": found.effect,
            "probability_of_improvement": found.improvement,
            "told_apart": found.told_apart,
            "models_told_apart": found.models_told_apart,
        }


def _spread(standing: Standing, row: Row, name: str) -> dict[str, float]:
    found = standing.interval(row, name)
    if found is None:
        return {}
    return {"low": found.low, "high": found.high} | ({} if found.deviation is None else {"deviation": found.deviation})


def _flat(record: Record, names: Sequence[str]) -> dict[str, Any]:
    lengths = {name: len(getattr(record, name)) for name in ("curve", "learning_curve")}
    fields = dataclasses.asdict(dataclasses.replace(record, curve=(), learning_curve=(), scores={})) | lengths
    del fields["scores"]
    fields["details"] = {name: _without_curve(value) for name, value in record.details.items()}
    fields["metrics"] = {name: record.metrics.get(name) for name in dict.fromkeys([*names, *record.metrics])}
    return flatten(fields)


def _without_curve(value: Any) -> Any:
    curve = value.get("curve") if isinstance(value, Mapping) else None
    return {**value, "curve": len(curve)} if isinstance(curve, list | tuple) else value


def write_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """CSV with the columns given, else with all that any row has; texts are made safe to open in a spreadsheet."""
    # Records of failed trials lack phases; a column exists when any line has it, in the order of first appearance.
    columns = columns or list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | tuple | Mapping):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    text = f"'{value}" if _FORMULA.match(value) else value
    return _LINE_END.sub("\n", text)  # the csv module does not quote a bare carriage return, which ends a row too

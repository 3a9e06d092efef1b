"""Leaderboard, differences and records as pandas data frames: raw numbers, missing where nothing was measured.

A column of whole numbers, of numbers or of true and false is one that can hold missing values beside them; all other
columns hold objects.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.analysis.standing import Place, Standing
from reports.analysis.tables import Row, flatten
from reports.records.metrics import LEARNING_CURVES, METRICS, PREFERENCE_LEARNING, PRIMARY, collect_metrics
from reports.records.record import Record

if TYPE_CHECKING:
    from pandas import DataFrame, Series

DIFFERENCES = (
    *("table", "metric", "first", "second", "seeds", "difference", "low", "high"),
    *("p", "p_holm", "p_examples", "p_examples_holm", "effect_size", "probability_of_improvement"),
    *("told_apart", "models_told_apart"),
)
"""Columns of the frame of all pairs."""
_DTYPES: dict[type, str] = {int: "Int64", float: "Float64", bool: "boolean"}
_LARGEST = 2**63 - 1
"""The largest whole number that a column can hold other than as an object."""


def build_leaderboard_frame(standings: Sequence[Standing]) -> DataFrame:
    """One line a variant and table, in the order of the leaderboard; metrics are means over seeds."""
    names = _choose_metrics([record for standing in standings for record in standing.table.records])
    return _build_frame(
        [
            _build_row(n, standing, place, names)
            for n, standing in enumerate(standings, start=1)
            for place in standing.places
        ]
    )


def build_differences_frame(standings: Sequence[Standing]) -> DataFrame:
    """Every pair of every table, in the primary metric: differences, intervals and p-values."""
    lines = [line for number, standing in enumerate(standings, start=1) for line in _build_pairs(number, standing)]
    return _build_frame(lines, DIFFERENCES)


def build_records_frame(trials: Sequence[Record]) -> DataFrame:
    """One line a trial with every field of its record; nested fields have dotted names, lists are JSON.

    Of curves only the length is given, and of the examples' scores nothing; the record has them.
    """
    names = _choose_metrics(trials)
    return _build_frame([_flatten_record(record, names) for record in trials])


def _choose_metrics(trials: Sequence[Record]) -> list[str]:
    """Metrics with a column: those that every method can have, and of the others those that a trial has."""
    had = {name for record in trials for name, value in record.metrics.items() if value is not None}
    always = METRICS.keys() - PREFERENCE_LEARNING - LEARNING_CURVES
    return [name for name in collect_metrics(trials) if name in always or name in had]


def _build_row(number: int, standing: Standing, place: Place, names: Sequence[str]) -> dict[str, Any]:
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
        **{f"{name}_{end}": value for name in names for end, value in _build_spread(standing, row, name).items()},
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


def _build_pairs(number: int, standing: Standing) -> Iterator[dict[str, object]]:
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
            "told_apart": found.methods_differ,
            "models_told_apart": found.models_differ,
        }


def _build_spread(standing: Standing, row: Row, name: str) -> dict[str, float]:
    found = standing.interval(row, name)
    if found is None:
        return {}
    return {"low": found.low, "high": found.high} | ({} if found.deviation is None else {"deviation": found.deviation})


def _flatten_record(record: Record, names: Sequence[str]) -> dict[str, Any]:
    lengths = {name: len(getattr(record, name)) for name in ("curve", "learning_curve")}
    fields = dataclasses.asdict(dataclasses.replace(record, curve=(), learning_curve=(), scores={})) | lengths
    del fields["scores"]
    fields["details"] = {name: _shorten_curve(value) for name, value in record.details.items()}
    fields["metrics"] = {name: record.metrics.get(name) for name in dict.fromkeys([*names, *record.metrics])}
    return flatten(fields)


def _shorten_curve(value: Any) -> Any:
    curve = value.get("curve") if isinstance(value, Mapping) else None
    return {**value, "curve": len(curve)} if isinstance(curve, list | tuple) else value


def _build_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> DataFrame:
    """A frame with the columns given, else with all that any row has."""
    import pandas as pd

    # Records of failed trials lack phases; a column exists when any line has it, in the order of first appearance.
    columns = columns or tuple(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    made = (_build_column([row.get(name) for row in rows]) for name in columns)
    frame = pd.DataFrame(dict(enumerate(made)))
    frame.columns = pd.Index(list[Any](columns), dtype="object")  # pandas' own texts must be valid UTF-8
    return frame


def _build_column(values: Sequence[Any]) -> Series[Any]:
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    kind = kinds.pop() if len(kinds) == 1 else object
    if kind is int and any(abs(value) > _LARGEST for value in values if value is not None):
        kind = object
    return pd.Series(values, dtype=_DTYPES.get(kind, "object"))

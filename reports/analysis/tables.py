"""From records to tables: only what can be compared stands in one table, and a row is a variant's mean over seeds."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reports.analysis import general_text
from reports.records.details import read_details
from reports.records.record import Record, dump

_BATCH = ("batch_size", "accumulation")
_LIMITS = ("input_tokens", "target_tokens")
TRAINING = ("budget", "training")
"""Parts of a table's key that say nothing of its base."""
LEARNED = "reward model"
"""What the record of a trial calls a reward that it learned itself."""


@dataclass(frozen=True)
class Row:
    """All records of one variant in one table."""

    variant: str
    records: tuple[Record, ...]
    """In the order of their seeds."""

    @property
    def role(self) -> str:
        """`candidate`, `base` or `fake`."""
        return self.records[0].role

    @cached_property
    def ok(self) -> tuple[Record, ...]:
        """The records that count."""
        return tuple(record for record in self.records if record.ok)

    @cached_property
    def failed(self) -> tuple[Record, ...]:
        """The records of trials that ended in another way."""
        return tuple(record for record in self.records if not record.ok)

    def values(self, metric: str) -> list[float]:
        """What the ok trials measured; trials that did not measure it are left out."""
        return [value for record in self.ok if (value := record.metrics.get(metric)) is not None]

    def scores(self, metric: str) -> dict[int, tuple[float, ...]]:
        """Seed → the examples' values of a metric that is their mean; trials whose record lacks them are left out."""
        return {record.seed: found for record in self.ok if (found := record.scores.get(metric))}

    def mean(self, metric: str) -> float | None:
        """Mean over the seeds, `None` where nothing was measured."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over the seeds (n − 1), `None` for fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Table:
    """Rows that may be compared: same model, data, budget, limits, decoding, hardware and library versions."""

    key: Mapping[str, Any]
    base: Row | None
    rows: tuple[Row, ...]
    """All others, by variant name."""
    tries: tuple[Record, ...] = ()
    """Trials of searches whose choices stand in the rows; they were evaluated on the validation split."""
    superseded: int = 0
    """Records left out because another one, made with other code, has the same variant and seed."""
    parts: tuple[Table, ...] = ()
    """The tables whose rows stand here together although they cannot be compared (`reports.analysis.mixed`)."""
    bases: Mapping[str, Row] = field(default_factory=dict)
    """Variant → its base, where the rows of `parts` have several."""

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The base first, where there is one."""
        return (self.base, *self.rows) if self.base else self.rows

    def base_of(self, row: Row) -> Row | None:
        """The base that a row is measured by."""
        return self.bases.get(row.variant, self.base)

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Every record of the table."""
        return tuple(record for row in self.all_rows for record in row.records)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Every seed of a row that is not a base."""
        return tuple(sorted({record.seed for record in self.records if record.role != "base"}))


def build_tables(records: Iterable[Record]) -> tuple[Table, ...]:
    """Tables in the order of model, task and key. A base stands in every table that it can be compared with."""
    bases: dict[str, list[Record]] = {}
    groups: dict[str, list[Record]] = {}
    tries: dict[str, list[Record]] = {}
    for record in keep_latest_records(records):
        if record.split != "test":  # the tries of a search stand for nothing but what it chose
            tries.setdefault(_to_text(build_comparison_key(record)), []).append(record)
        elif record.role == "base":
            bases.setdefault(_to_text(_build_base_key(record)), []).append(record)
        else:
            groups.setdefault(_to_text(build_comparison_key(record)), []).append(record)
    made = [
        dataclasses.replace(
            _build_table(group, bases.get(_to_text(_build_base_key(group[0])), [])), tries=tuple(tries.get(key, ()))
        )
        for key, group in groups.items()
    ]
    served = {_to_text(_build_base_key(group[0])) for group in groups.values()}
    made += [_build_table([], group) for key, group in bases.items() if key not in served]
    return tuple(sorted(made, key=lambda t: (t.records[0].model.name, t.records[0].task.name, _to_text(t.key))))


def keep_latest_records(records: Iterable[Record]) -> list[Record]:
    """One record per trial id, by id: one that is ok where there is one, the latest among equals."""
    best: dict[str, Record] = {}
    for record in records:
        held = best.get(record.trial_id)
        if held is None or _rank_record(record) > _rank_record(held):
            best[record.trial_id] = record
    return [best[trial_id] for trial_id in sorted(best)]


def build_comparison_key(record: Record) -> dict[str, Any]:
    """Everything that must agree before two records may stand in one table."""
    return {
        **_build_base_key(record),
        "budget": dict(record.budget),
        "training": {name: record.training.get(name) for name in _BATCH},
    }


def find_differing_fields(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted names of the fields in which keys differ."""
    flat = [flatten(key) for key in keys]
    names = dict.fromkeys(name for fields in flat for name in fields)
    return [name for name in names if len({_to_text(fields.get(name)) for fields in flat}) > 1]


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names, inner ones sorted; lists stay what they are."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat |= flatten(dict(sorted(item.items())), f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = item
    return flat


def _build_base_key(record: Record) -> dict[str, Any]:
    # Neither budget nor batch can change what the untouched model answers; the limits can.
    model = dataclasses.asdict(record.model)
    return {
        "model": {name: model[name] for name in ("name", "source", "revision", "dtype")},
        "task": {
            "name": record.task.name,
            "fingerprint": record.task.fingerprint,
            "templates": list(record.task.templates),
        },
        "limits": {name: record.training.get(name) for name in _LIMITS},
        "decoding": dict(record.decoding),
        "hardware": dict(record.environment.hardware),
        "versions": dict(record.environment.versions),
    }


def _build_table(records: Sequence[Record], bases: Sequence[Record]) -> Table:
    rows: dict[str, list[Record]] = {}
    given = {
        variant: {_describe_given(r) for r in records if r.variant == variant}
        for variant in {r.variant for r in records}
    }
    for record in sorted(records, key=lambda r: (r.variant, r.seed, r.trial_id)):
        # The same variant may have learned from other pairs or another reward, or have another setting where it was
        # searched for twice: rows of their own, with names that differ.
        several = len(given[record.variant]) > 1
        rows.setdefault(f"{record.variant} ({_describe_given(record)})" if several else record.variant, []).append(
            record
        )
    # Two bases in one table were made with different code; the latest is shown.
    base = max(bases, key=lambda r: (_rank_record(r), r.trial_id), default=None)
    key = build_comparison_key(records[0]) if records else _build_base_key(bases[0])
    latest = tuple(_keep_latest_code(variant, group) for variant, group in sorted(rows.items()))
    return drop_differing_general_text(
        Table(
            key=key,
            base=Row(base.variant, (base,)) if base is not None else None,
            rows=latest,
            superseded=len(records) - sum(len(row.records) for row in latest) + len(bases[1:]),
        )
    )


def drop_differing_general_text(table: Table) -> Table:
    """The table without what was measured on general text, where that was not the same text for all rows."""
    if len(general_text.list_texts(table.records)) < 2:
        return table
    return dataclasses.replace(
        table,
        base=table.base and _drop_general_text(table.base),
        rows=tuple(map(_drop_general_text, table.rows)),
        bases={variant: _drop_general_text(row) for variant, row in table.bases.items()},
    )


def _drop_general_text(row: Row) -> Row:
    return dataclasses.replace(row, records=tuple(map(general_text.drop_measurements, row.records)))


def _describe_given(record: Record) -> str:
    """What a trial was given besides its variant, in a few words: the setting that a search chose, reward and pairs.

    A learned reward is none that was given.
    """
    details = read_details(record.details)
    reward, pairs = details.reward, details.preferences.source if details.preferences else None
    words = [_name("reward", reward.name, reward.revision)] if reward and reward.name not in ("", LEARNED) else []
    words += [_name("pairs", pairs.name, pairs.fingerprint)] if pairs and pairs.name else []
    words += [f"{knob}={value}" for knob, value in sorted(details.tuning.chosen.items())] if details.tuning else []
    return ", ".join(words) or "derived pairs"


def _name(what: str, name: str, content: str | None) -> str:
    return f"{what} {name}" + (f" {content[:8]}" if content else "")


def _keep_latest_code(variant: str, records: Sequence[Record]) -> Row:
    """One record a seed: the same variant and seed come twice where the code changed in between."""
    best: dict[int, Record] = {}
    for record in records:
        held = best.get(record.seed)
        if held is None or _rank_record(record) > _rank_record(held):
            best[record.seed] = record
    return Row(variant, tuple(best[seed] for seed in sorted(best)))


def _rank_record(record: Record) -> tuple[bool, str, str]:
    # The text decides between records that end alike, so that the order of files never does.
    return record.ok, record.finished_at or "", dump(record)


def _to_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

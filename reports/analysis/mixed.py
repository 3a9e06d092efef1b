"""What cannot be compared in one table all the same, where the user asks for it: each row says in what it differs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reports.analysis.tables import TRAINING, Row, Table, drop_differing_general_text, find_differing_fields, flatten
from reports.format import format_value

_CONTENT = 8
"""Hexadecimal digits that stand for a content."""
_FIRST = ("name", "devices", "cpu", "torch", "batch_size")
"""Fields that say more than the others of their group."""
_SPEAKING = frozenset({"model.name", "model.dtype", "task.name", "hardware.cpu", "hardware.platform"})
"""Fields whose value says by itself what it is."""


def merge_tables(tables: Sequence[Table]) -> tuple[Table, ...]:
    """All rows in one table that holds the given ones as its `parts`; what is one table already stays as it is."""
    if len(tables) < 2:
        return tuple(tables)
    keys = [table.key for table in tables]
    # A base depends on neither budget nor batch, so that one may serve several tables, or all of them.
    base_marks = build_marks([{name: key[name] for name in key if name not in TRAINING} for key in keys])
    served = list(zip(tables, build_marks(keys), base_marks, strict=True))
    bases = {mark: _add_mark(table.base, mark) for table, _, mark in served if table.base is not None}
    made = [(_add_mark(row, mark), bases.get(base)) for table, mark, base in served for row in table.rows]
    made.sort(key=lambda pair: pair[0].variant)
    return (
        drop_differing_general_text(
            Table(
                key=keys[0],
                base=bases.get(""),
                rows=(*(base for mark, base in bases.items() if mark), *(row for row, _ in made)),
                tries=tuple(record for table in tables for record in table.tries),
                superseded=sum(table.superseded for table in tables),
                parts=tuple(tables),
                bases={row.variant: base for row, base in made if base is not None},
            )
        ),
    )


def describe_mixture(table: Table) -> str:
    """What must head a table whose rows cannot be compared; empty for any other."""
    if not table.parts:
        return ""
    differing = ", ".join(find_differing_fields([part.key for part in table.parts]))
    return f"These rows cannot be compared (--allow-mixed): they differ in {differing}."


def build_marks(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each key what sets it apart, such as `steps=100, torch 2.9.1`; no two are alike.

    A field that tells nothing apart which another one of its group (model, task, hardware …) does not is left out: a
    model's name will do without its revision.
    """
    flat = [flatten(key) for key in keys]
    chosen: dict[str, list[str]] = {}
    for name in sorted(find_differing_fields(keys), key=_rank_field):
        held = chosen.setdefault(name.partition(".")[0], [])
        if _count_distinct(flat, [*held, name]) > _count_distinct(flat, held):
            held.append(name)
    names = [name for held in chosen.values() for name in held]
    alike: dict[str, list[Mapping[str, Any]]] = {}
    made = []
    for fields in flat:
        text = ", ".join(dict.fromkeys(_describe_field(name, fields) for name in names))
        if fields not in (same := alike.setdefault(text, [])):
            same.append(fields)
        number = same.index(fields) + 1
        made.append(text if number == 1 else f"{text} #{number}")
    return made


def _rank_field(name: str) -> int:
    field = name.rpartition(".")[2]
    return _FIRST.index(field) if field in _FIRST else len(_FIRST)


def _count_distinct(flat: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int:
    return len({json.dumps([fields.get(name) for name in names], sort_keys=True) for fields in flat})


def _describe_field(name: str, fields: Mapping[str, Any]) -> str:
    """One field in a few words."""
    group, _, field = name.partition(".")
    value = fields.get(name)
    if group == "budget":
        amount = fields.get("budget.amount")
        return f"{fields.get('budget.unit')}={amount:g}" if amount is not None else "no budget"
    if group == "versions":
        return f"{field} {value}" if value else f"no {field}"
    if name == "hardware.memory_bytes" and value:
        return f"{format_value(value, 'bytes')} memory"
    if name == "hardware.devices":
        return " + ".join(map(_describe_device, value or ())) or "no accelerator"
    if name in ("model.revision", "task.fingerprint"):
        return f"{'revision' if group == 'model' else 'data'} {str(value)[:_CONTENT]}"
    if name == "task.templates":
        return f"prompts {hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_CONTENT]}"
    if value is None:
        return f"no {field}"
    return str(value) if name in _SPEAKING else f"{field}={value}"


def _describe_device(device: Mapping[str, Any]) -> str:
    size = device.get("bytes")
    return f"{device.get('name')}" + (f" {format_value(size, 'bytes')}" if size else "")


def _add_mark(row: Row, mark: str) -> Row:
    return dataclasses.replace(row, variant=f"{row.variant} ({mark})") if mark else row

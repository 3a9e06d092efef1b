"""What was compared, in words: model, data, budget, limits, decoding, hardware and versions of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports.analysis.tables import Table
from reports.format import format_value
from reports.records.details import read_details
from reports.records.record import Record
from reports.sections import scoring

_SPLITS = ("train", "validation", "test")
_ALIKE = ", the same for every method"


def list_conditions(table: Table) -> tuple[tuple[str, str], ...]:
    """(label, text) pairs that hold for every row of the table; empty ones are left out.

    Of a table with parts each text is given of all of them.
    """
    if table.parts:
        texts: dict[str, list[str]] = {}
        for label, text in (pair for part in table.parts for pair in list_conditions(part)):
            texts.setdefault(label, []).append(text.removesuffix(_ALIKE))
        return tuple((label, " · ".join(dict.fromkeys(told))) for label, told in texts.items())
    record = next((r for r in table.records if r.role != "base"), table.records[0])
    pairs = (
        ("Model", _describe_model(table)),
        ("Data", _describe_data(record)),
        ("Examples cut", _describe_cut(table)),
        ("Budget", _describe_budget(record)),
        ("Token limits", _describe_limits(record)),
        ("Decoding", _describe_decoding(record)),
        ("Words", scoring.describe_words(table.records)),
        ("Seeds", ", ".join(str(seed) for seed in table.seeds)),
        ("Time", _describe_time(table)),
        ("Hardware", _describe_hardware(record)),
        ("Versions", _describe_versions(record)),
        ("Code", _describe_code(record)),
    )
    return tuple((label, text) for label, text in pairs if text)


def count_cut_examples(records: Sequence[Record]) -> dict[str, int]:
    """Split → most examples that a trial cut to the token limits; methods write prompts of different lengths."""
    splits = {split for record in records for split in record.task.cut}
    return {split: max(record.task.cut.get(split, 0) for record in records) for split in _SPLITS if split in splits}


def count_examples_seen(records: Sequence[Record], split: str) -> int:
    """Examples that a trial took from a split; in training one that comes again counts again."""
    if split == "train":
        return max((int(record.training.get("examples") or 0) for record in records), default=0)
    return max((record.task.examples.get(split, 0) for record in records), default=0)


def _describe_model(table: Table) -> str:
    model = table.records[0].model
    parameters = next((r.model.parameters for r in table.records if r.role == "base" and r.model.parameters), None)
    parts = [
        f"{model.name} ({model.architecture}, {model.family})",
        f"{format_value(parameters, 'parameters')} parameters" if parameters else "",
        f"{model.dtype}" if model.dtype else "",
        f"from {model.source}, revision {model.revision}" if model.revision else f"from {model.source}",
    ]
    return ", ".join(part for part in parts if part)


def _describe_data(record: Record) -> str:
    task = record.task
    sizes = ", ".join(f"{task.examples[split]:,} {split}" for split in _SPLITS if split in task.examples)
    unusable = f"; {task.unusable:,} row{'s' * (task.unusable != 1)} could not be used" if task.unusable else ""
    return f"{task.name}: {sizes}; fingerprint {task.fingerprint[:12]}{unusable}"


def _describe_cut(table: Table) -> str:
    done = [record for record in table.records if record.ok]
    cut = {split: count for split, count in count_cut_examples(done).items() if count_examples_seen(done, split)}
    if not any(cut.values()):
        return "none" if cut else ""
    return "at most " + ", ".join(
        f"{n:,} of {count_examples_seen(done, split):,} in {split}" for split, n in cut.items()
    )


def _describe_budget(record: Record) -> str:
    unit, amount = record.budget.get("unit"), record.budget.get("amount")
    if unit is None or amount is None:
        return ""
    training = record.training
    batch, accumulation = training.get("batch_size"), training.get("accumulation")
    effective = f", batch {batch}" + (f" × {accumulation} accumulated" if accumulation != 1 else "")
    return f"{amount:g} {unit if amount != 1 else str(unit).rstrip('s')}{effective}{_ALIKE}"


def _describe_time(table: Table) -> str:
    """What all trials took one after another, as far as their records say."""
    told, searches = (
        math.fsum(record.metrics.get("total_seconds") or 0.0 for record in records)
        for records in ((*table.records, *table.tries), table.tries)
    )
    if not told:
        return ""
    share = f", {format_value(searches, 's')} of it in searches" if searches else ""
    return f"{format_value(told, 's')} in {len(table.records) + len(table.tries)} trials{share}"


def _describe_limits(record: Record) -> str:
    return f"{record.training.get('input_tokens')} input, {record.training.get('target_tokens')} target"


def _describe_decoding(record: Record) -> str:
    decoding = record.decoding
    how = "greedy" if not decoding.get("do_sample") and decoding.get("num_beams") == 1 else f"{dict(decoding)}"
    return f"{how}, at most {decoding.get('max_new_tokens')} tokens, batches of {decoding.get('batch_size')}"


def _describe_hardware(record: Record) -> str:
    hardware = record.environment.hardware
    devices = [
        f"{device.get('name')}" + (f" {format_value(device['bytes'], 'bytes')}" if device.get("bytes") else "")
        for device in hardware.get("devices") or ()
    ]
    memory = hardware.get("memory_bytes")
    parts = [
        *(devices or ["no accelerator"]),
        f"{hardware.get('cpu')}, {hardware.get('cores')} cores",
        f"{format_value(memory, 'bytes')} memory" if memory else "",
        str(hardware.get("platform", "")),
    ]
    return "; ".join(part for part in parts if part)


def _describe_versions(record: Record) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(record.environment.versions.items()) if version)


def _describe_code(record: Record) -> str:
    code = record.environment.code
    commit = code.get("commit")
    if commit:
        return f"commit {str(commit)[:12]}{' with changes' if code.get('dirty') else ''}, source {code.get('hash')}"
    return f"source {code['hash']}" if code.get("hash") else ""


def describe_smaller_batches(record: Record) -> str | None:
    """A sentence where a trial was done with smaller batches than asked for, because memory ran out."""
    smaller = read_details(record.details).smaller_batches
    if smaller is None:
        return None
    used = smaller.used
    return (
        f"{record.variant} seed {record.seed} ran out of memory with the batches asked for; it was done with batches "
        f"of {used.batch_size} × {used.accumulation} accumulated in training and of {used.eval_batch_size} in "
        "evaluation."
    )

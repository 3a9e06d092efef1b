"""On which general text forgetting was measured: figures of different texts stand in no column together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from reports.records.details import read_details
from reports.records.record import Record

METRICS = ("general_loss", "general_loss_before", "forgetting")
"""What is measured on it."""


def list_texts(records: Iterable[Record]) -> tuple[str, ...]:
    """The texts that the finished records were measured on, each as its name, passages and fingerprint."""
    texts = (read_details(record.details).general_text for record in records if record.ok)
    return tuple(
        sorted(
            {
                f"{text.passages} passages of {text.name}, fingerprint {text.fingerprint[:12]}"
                for text in texts
                if text and text.fingerprint
            }
        )
    )


def drop_measurements(record: Record) -> Record:
    """The record without what was measured on its general text."""
    metrics = {name: value for name, value in record.metrics.items() if name not in METRICS}
    scores = {name: values for name, values in record.scores.items() if name not in METRICS}
    return dataclasses.replace(record, metrics=metrics, scores=scores)


def describe_texts(records: Sequence[Record]) -> str:
    """What a column of forgetting says, and of which text."""
    texts = "; ".join(list_texts(records)) or "an unnamed text"
    return (
        f"Forgetting is the loss per token on general text, after minus before training: {texts}. "
        "Below 0 the method has learned some of it; intervals are over passages."
    )


def explain_absence(records: Sequence[Record]) -> str:
    """Why there is no such column; empty where the records do not say."""
    texts = list_texts(records)
    return f"measured, but on different texts: {'; '.join(texts)}" if len(texts) > 1 else ""

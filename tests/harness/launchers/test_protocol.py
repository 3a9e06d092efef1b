"""Every line from a worker is checked, since third-party code in it may write to any descriptor."""

from __future__ import annotations

import json

import pytest

from harness.launchers.protocol import read_event
from harness.outcome import Outcome
from reports.errors import RecordError

STEP = {"event": "step", "step": 3, "progress": 0.5, "loss": 1.5, "tokens_per_second": None, "host_bytes": 1 << 20}


@pytest.mark.parametrize(
    "event",
    [
        STEP,
        {**STEP, "loss": None, "device_bytes": None},
        {"event": "phase", "name": "train"},
        {"event": "stage", "name": "policy"},
        {"event": "evaluated", "progress": 1, "host_bytes": None},
        {"event": "outcome", "status": "ok"},
    ],
)
def test_events_are_read(event):
    assert read_event(json.dumps(event).encode()) == event


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"event": "phase", "na',
        b"[" * 100_000,
        b"7",
        b'"outcome"',
        b'["event"]',
        b'{"name": "train"}',
        b'{"event": ["phase"], "name": "train"}',
        b'{"event": "never heard of"}',
        b'{"event": "phase"}',
        b'{"event": "phase", "name": 7}',
        b'{"event": "step", "step": 3, "loss": 1.5}',
        b'{"event": "step", "step": "3", "progress": 0.5, "loss": 1.5}',
        b'{"event": "step", "step": 3, "progress": NaN, "loss": 1.5}',
        b'{"event": "evaluated", "progress": 1e999}',
        b'{"event": "evaluated", "progress": true}',
    ],
)
def test_lines_that_are_not_events_are_ignored(line):
    assert read_event(line) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "status is missing"),
        ({"status": "splendid"}, "status has a value of the wrong kind"),
        ({"status": "ok", "metrics": [1]}, "metrics has a value of the wrong kind"),
        ({"status": "ok", "metrics": {"rougeL": "high"}}, "metrics.rougeL has a value of the wrong kind"),
        ({"status": "ok", "phases": {"train": {"hours": 1}}}, "phases.train.seconds is missing"),
        ({"status": "ok", "step": "x"}, "step has a value of the wrong kind"),
        ({"status": "ok", "trial_id": "0"}, "trial_id is unknown"),
    ],
)
def test_an_invalid_outcome_is_refused_with_the_reason(fields, said):
    with pytest.raises(RecordError, match=said):
        Outcome.from_event({"event": "outcome", **fields})

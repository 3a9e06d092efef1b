"""Every line from a worker is checked, since third-party code in it may write to any descriptor."""

from __future__ import annotations

import json

import pytest

from harness.events import EvaluationProgress, PhaseEvent, StageEvent, StepProgress, write_event
from harness.launchers.protocol import OutcomeLine, read_event
from reports.errors import RecordError

STEP = {"event": "step", "step": 3, "progress": 0.5, "loss": 1.5, "tokens_per_second": None, "host_bytes": 1 << 20}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (STEP, StepProgress(step=3, progress=0.5, loss=1.5, host_bytes=1 << 20)),
        (
            {**STEP, "loss": None, "device_bytes": 7},
            StepProgress(step=3, progress=0.5, loss=None, host_bytes=1 << 20, device_bytes=7),
        ),
        ({"event": "phase", "name": "train"}, PhaseEvent(name="train")),
        ({"event": "stage", "name": "policy"}, StageEvent(name="policy")),
        ({"event": "evaluated", "progress": 1, "host_bytes": None}, EvaluationProgress(progress=1)),
        ({"event": "outcome", "status": "ok"}, OutcomeLine({"status": "ok"})),
    ],
)
def test_events_are_read(line, event):
    assert read_event(json.dumps(line).encode()) == event
    if not isinstance(event, OutcomeLine):
        assert read_event(write_event(event).encode()) == event


def test_what_is_no_measurement_is_written_as_null():
    step = StepProgress(step=1, progress=1.0, loss=float("nan"), tokens_per_second=float("inf"))
    assert read_event(write_event(step).encode()) == StepProgress(step=1, progress=1.0, loss=None)


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
        b'{"event": "phase", "name": "train", "more": 1}',
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
        OutcomeLine(fields).read()

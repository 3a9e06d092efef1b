"""Drives the trials of a plan one after another: skips what is finished, launches the rest, stores every outcome.

A failed trial never stops the others. An interruption leaves a record for the trial in flight and passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.plan import Plan, Trial
from harness.protocol import Outcome, finished_record
from reports.record import Record
from reports.store import RunStore


class Launcher(Protocol):
    """Where a trial runs."""

    def launch(self, request: Mapping[str, Any], log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Run one trial to its end and return its outcome."""
        ...


class Progress(Protocol):
    """Who is told how the run goes."""

    def started(self, trial: Trial) -> None:
        """A trial begins."""
        ...

    def event(self, event: Mapping[str, Any]) -> None:
        """The running trial tells its phase or a step."""
        ...

    def ended(self, record: Record, *, skipped: bool) -> None:
        """A trial has its record; `skipped` where an earlier run had finished it."""
        ...


def run(plan: Plan, store: RunStore, launcher: Launcher, progress: Progress) -> list[Record]:
    """Run what is not finished yet and return one record per trial, in the order of the plan."""
    records = []
    for trial in plan.trials:
        finished = store.finished(trial.trial_id)
        if finished is not None:
            progress.ended(finished, skipped=True)
            records.append(finished)
            continue
        progress.started(trial)
        outcome = _outcome(trial, store, launcher, progress)
        record = finished_record(trial.draft, outcome)
        store.add(record, replace=True)
        progress.ended(record, skipped=False)
        records.append(record)
        if record.status == "interrupted":
            raise KeyboardInterrupt
    return records


def _outcome(trial: Trial, store: RunStore, launcher: Launcher, progress: Progress) -> Outcome:
    if trial.unsupported is not None:
        return Outcome(status="unsupported", phase="start", message=trial.unsupported)
    request = {
        **trial.request,
        "artifacts": str(store.artifacts_path(trial.trial_id).resolve()),
        "predictions": str(store.predictions_path(trial.trial_id).resolve()),
    }
    last: dict[str, Any] = {}

    def on_event(event: Mapping[str, Any]) -> None:
        last.update({"phase": event["name"]} if event["event"] == "phase" else {"step": event["step"]})
        progress.event(event)

    try:
        return launcher.launch(request, store.log_path(trial.trial_id), on_event)
    except KeyboardInterrupt:
        return Outcome(status="interrupted", message="interrupted; the same command resumes", **last)

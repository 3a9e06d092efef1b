"""Drives the trials of a plan one after another: skips what is finished, launches the rest, stores every outcome.

A failed trial never stops the others. An interruption leaves a record for the trial in flight and passes through.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.measure.meter import cost
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
        """The running trial tells its phase, a step, or how far evaluation is."""
        ...

    def ended(self, record: Record, *, skipped: bool) -> None:
        """A trial has its record; `skipped` where an earlier run had finished it."""
        ...


def run(plan: Plan, store: RunStore, launcher: Launcher, progress: Progress) -> list[Record]:
    """Run what is not finished yet and return one record per trial, in the order of the plan."""
    records: dict[str, Record] = {}
    wanted = _artifacts_wanted(plan, store)
    for trial in plan.trials:
        keep = trial.trial_id in wanted
        finished = _finished(trial, store, keep=keep)
        if finished is not None:
            records[trial.trial_id] = _priced(finished, trial, store)
            progress.ended(records[trial.trial_id], skipped=True)
            continue
        progress.started(trial)
        start = records[trial.start] if trial.start else None
        record = finished_record(trial.draft, _outcome(trial, start, store, launcher, progress, keep=keep))
        store.add(record, replace=True)
        progress.ended(record, skipped=False)
        records[trial.trial_id] = record
        if record.status == "interrupted":
            raise KeyboardInterrupt
    return list(records.values())


def _artifacts_wanted(plan: Plan, store: RunStore) -> set[str]:
    """Ids of the trials that others, which have yet to run, start from: what they ship must be there by then."""
    wanted: set[str] = set()
    for trial in reversed(plan.trials):  # a start comes before what goes on from it
        if trial.start and trial.unsupported is None and not _finished(trial, store, keep=trial.trial_id in wanted):
            wanted.add(trial.start)
    return wanted


def _finished(trial: Trial, store: RunStore, *, keep: bool) -> Record | None:
    """The record of an earlier run, if what the trial ships is there too where that has to be kept."""
    record = store.finished(trial.trial_id)
    kept = store.artifacts_path(trial.trial_id).is_dir()
    return record if kept or not (keep or trial.request["save_models"]) else None


def _priced(record: Record, trial: Trial, store: RunStore) -> Record:
    """The record with its cost at the price that is given now."""
    price, total = trial.request["price_per_hour"], record.metrics.get("total_seconds")
    if price is None or total is None or record.metrics.get("cost") == cost(total, price):
        return record
    priced = dataclasses.replace(record, metrics={**record.metrics, "cost": cost(total, price)})
    store.add(priced, replace=True)
    return priced


def _outcome(
    trial: Trial, start: Record | None, store: RunStore, launcher: Launcher, progress: Progress, *, keep: bool
) -> Outcome:
    if trial.unsupported is not None:
        return Outcome(status="unsupported", phase="start", message=trial.unsupported)
    if start is not None and not start.ok:
        what = f"{start.variant} seed {start.seed}, from which this trial starts, ended {start.status}"
        return Outcome(status="error", phase="start", message=f"{what}: {start.message}" if start.message else what)
    request = {
        **trial.request,
        "save_models": keep or trial.request["save_models"],
        "artifacts": str(store.artifacts_path(trial.trial_id).resolve()),
        "predictions": str(store.predictions_path(trial.trial_id).resolve()),
        "stages": str(store.stages_path(trial.trial_id).resolve()),
        "start": str(store.artifacts_path(trial.start).resolve()) if trial.start else None,
    }
    last: dict[str, Any] = {}

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "phase":
            last["phase"] = event["name"]
        elif event["event"] == "step":
            last["step"] = event["step"]
        progress.event(event)

    try:
        return launcher.launch(request, store.log_path(trial.trial_id), on_event)
    except KeyboardInterrupt:
        return Outcome(status="interrupted", message="interrupted; the same command resumes", **last)

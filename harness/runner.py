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
    records = []
    for trial in plan.trials:
        finished = _finished(trial, store)
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


def _finished(trial: Trial, store: RunStore) -> Record | None:
    """The record of an earlier run, if it holds all that is asked for now: the model where that is to be kept, and
    the cost at the price that is given now."""
    record = store.finished(trial.trial_id)
    if record is None or (trial.request["save_models"] and not store.artifacts_path(trial.trial_id).is_dir()):
        return None
    price, total = trial.request["price_per_hour"], record.metrics.get("total_seconds")
    if price is None or total is None or record.metrics.get("cost") == cost(total, price):
        return record
    priced = dataclasses.replace(record, metrics={**record.metrics, "cost": cost(total, price)})
    store.add(priced, replace=True)
    return priced


def _outcome(trial: Trial, store: RunStore, launcher: Launcher, progress: Progress) -> Outcome:
    if trial.unsupported is not None:
        return Outcome(status="unsupported", phase="start", message=trial.unsupported)
    request = {
        **trial.request,
        "artifacts": str(store.artifacts_path(trial.trial_id).resolve()),
        "predictions": str(store.predictions_path(trial.trial_id).resolve()),
        "stages": str(store.stages_path(trial.trial_id).resolve()),
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

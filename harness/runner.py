"""Drives the trials of a plan one after another: skips what is finished, launches the rest, stores every outcome.

A failed trial never stops the others. One that was interrupted is recorded, and ends the run with `KeyboardInterrupt`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.measure.meter import cost
from harness.plan import Plan, Trial
from harness.protocol import Outcome, finished_record
from reports.record import Record, redacted
from reports.store import RunStore

_NO_RETURN = ("ok", "diverged", "unsupported")
"""Endings after which no other try could go on from a checkpoint."""


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


def run(
    plan: Plan,
    store: RunStore,
    launcher: Launcher,
    progress: Progress,
    *,
    asked_to_end: Callable[[], bool] = lambda: False,
) -> list[Record]:
    """Run what is not finished yet and return one record per trial, in the order of the plan.

    No trial begins once `asked_to_end` says so. Raises `KeyboardInterrupt` for a run that ends early.
    """
    records: dict[str, Record] = {}
    wanted = _artifacts_wanted(plan, store)
    for trial in plan.trials:
        keep = trial.trial_id in wanted
        finished = _finished(trial, store, keep=keep)
        if finished is not None:
            records[trial.trial_id] = _priced(finished, trial, store)
            progress.ended(records[trial.trial_id], skipped=True)
            continue
        if asked_to_end():
            raise KeyboardInterrupt
        progress.started(trial)
        start = records[trial.start] if trial.start else None
        record = redacted(_attempt(trial, start, store, launcher, progress, keep=keep))
        store.renew(record)
        if record.status in _NO_RETURN and not trial.request["keep_checkpoints"]:
            store.drop_checkpoint(trial.trial_id)
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
    """The record of an earlier run, if what the trial ships is there too where that has to be kept.

    One that is to run again is not finished.
    """
    if trial.trial_id in store.asked_again():
        return None
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


def _attempt(
    trial: Trial, start: Record | None, store: RunStore, launcher: Launcher, progress: Progress, *, keep: bool
) -> Record:
    """The record of a trial that is tried now, with smaller batches where memory ran out and that was asked for."""
    if trial.unsupported is not None:
        return finished_record(trial.draft, Outcome(status="unsupported", phase="start", message=trial.unsupported))
    if start is not None and not start.ok:
        what = f"{start.variant} seed {start.seed}, from which this trial starts, ended {start.status}"
        message = f"{what}: {start.message}" if start.message else what
        return finished_record(trial.draft, Outcome(status="error", phase="start", message=message))
    store.remove_links(trial.trial_id)
    draft = dataclasses.replace(trial.draft, log=store.log_name(trial.trial_id))
    request: dict[str, Any] = {
        **trial.request,
        "save_models": keep or trial.request["save_models"],
        "artifacts": str(store.artifacts_path(trial.trial_id).resolve()),
        "predictions": str(store.predictions_path(trial.trial_id).resolve()),
        "stages": str(store.stages_path(trial.trial_id).resolve()),
        "checkpoint": {**trial.request["checkpoint"], "file": str(store.checkpoint_path(trial.trial_id).resolve())},
        "start": str(store.artifacts_path(trial.start).resolve()) if trial.start else None,
    }
    tried: list[dict[str, Any]] = []
    while True:
        outcome = launcher.launch(request, store.log_path(trial.trial_id), progress.event)
        smaller = halved(request, outcome.phase) if outcome.status == "oom" else None
        if smaller is None or trial.request["on_oom"] != "halve-batch":
            break
        tried.append({**_sizes(request), "phase": outcome.phase, "message": outcome.message})
        request = smaller
    record = finished_record(draft, outcome)
    if not tried:
        return record
    # The fields of training and decoding stay as asked for: the trial is still comparable with those that had room.
    smaller_batches = {"tried": tried, "used": _sizes(request)}
    return dataclasses.replace(record, details={**record.details, "smaller_batches": smaller_batches})


def halved(request: Mapping[str, Any], phase: str | None) -> dict[str, Any] | None:
    """The request with at most half the batch of the phase in which memory ran out; `None` where there is no less.

    In training the effective batch stays: what the batch loses, accumulation gains.
    """
    training, decoding = request["training"], request["decoding"]
    if phase in ("evaluate", "general"):
        size = decoding["batch_size"] // 2
        return {**request, "decoding": {**decoding, "batch_size": size}} if size else None
    if phase != "train" or training["batch_size"] == 1:
        return None
    effective = training["batch_size"] * training["accumulation"]
    size = next(size for size in range(training["batch_size"] // 2, 0, -1) if effective % size == 0)
    return {**request, "training": {**training, "batch_size": size, "accumulation": effective // size}}


def _sizes(request: Mapping[str, Any]) -> dict[str, int]:
    training = request["training"]
    return {
        "batch_size": training["batch_size"],
        "accumulation": training["accumulation"],
        "eval_batch_size": request["decoding"]["batch_size"],
    }

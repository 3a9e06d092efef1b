"""Runs the trials of a plan one after another: skips finished ones, launches the others, stores every record.

A failed trial never stops the others. An interrupted trial is recorded and ends the run with `KeyboardInterrupt`.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.errors import MetricError
from harness.events import Event
from harness.launchers.base import Launcher
from harness.measure.meter import compute_cost
from harness.measure.time_to_quality import retarget
from harness.outcome import Outcome, finish_record
from harness.planning.plan import Plan, Trial
from harness.request import Places, TrialRequest
from harness.running.rescoring import Rescorer
from methods.errors import describe_error_with_type
from reports.records.details import BatchSizes, OutOfMemoryTry, SmallerBatches, write_detail
from reports.records.record import Record, redact_record
from reports.records.store import RunStore

_FINAL_STATUSES = ("ok", "diverged", "unsupported")
"""Statuses after which the checkpoint is useless: running the trial again would end the same way."""


class Progress(Protocol):
    """Shows how the run proceeds."""

    def show_start(self, trial: Trial) -> None:
        """Show that a trial starts."""
        ...

    def show_event(self, event: Event) -> None:
        """Show an event of the running trial: its phase, a step, or how far evaluation is."""
        ...

    def show_end(self, record: Record, *, skipped: bool) -> None:
        """Show that a trial has its record; `skipped` if an earlier run had finished it."""
        ...


class Runner:
    """Runs trials one after another and stores a record of each."""

    def __init__(
        self,
        store: RunStore,
        launcher: Launcher,
        progress: Progress,
        stop_requested: Callable[[], bool] = lambda: False,
        rescorer: Rescorer | None = None,
    ) -> None:
        self.rescorer = rescorer
        self.store = store
        self.launcher = launcher
        self.progress = progress
        self.stop_requested = stop_requested
        self._done: dict[str, Record] = {}

    def run(self, plan: Plan) -> list[Record]:
        """Run the trials that are not finished, and return one record per trial in the order of the plan.

        Raises `KeyboardInterrupt` if the run is interrupted; no trial is started after that.
        """
        records: dict[str, Record] = {}
        wanted = _find_needed_artifacts(plan, self.store)
        for trial in plan.trials:
            start = records[trial.start] if trial.start else None
            records[trial.trial_id] = self.run_trial(trial, start, keep=trial.trial_id in wanted)
        return list(records.values())

    def run_trial(self, trial: Trial, start: Record | None = None, *, keep: bool = False) -> Record:
        """Run one trial and return its record. `start` is the record of the trial from which it starts.

        `keep` its artifacts if other trials start from them.
        """
        if trial.trial_id in self._done:  # the base, if a search has run it
            return self._done[trial.trial_id]
        try:
            finished = self._find_scored(trial, keep=keep)
        except MetricError as error:
            return self._end_unscored(trial, str(error))
        if finished is not None:
            record = self._done[trial.trial_id] = _update_record(finished, trial, self.store)
            self.progress.show_end(record, skipped=True)
            return record
        if self.stop_requested():
            raise KeyboardInterrupt
        self.progress.show_start(trial)
        record = redact_record(_try_trial(trial, start, self.store, self.launcher, self.progress, keep=keep))
        self.store.renew(record)
        if record.status in _FINAL_STATUSES and not trial.request.keep_checkpoints:
            self.store.drop_checkpoint(trial.trial_id)
        self.progress.show_end(record, skipped=False)
        if record.status == "interrupted":
            raise KeyboardInterrupt
        self._done[trial.trial_id] = record
        return record

    def _find_scored(self, trial: Trial, *, keep: bool) -> Record | None:
        """The record of an earlier run, with all scores that are asked for now; `None` if the trial must run."""
        record = _find_finished(trial, self.store, keep=keep)
        return record if record is None or self.rescorer is None else self.rescorer.rescore(record, trial)

    def _end_unscored(self, trial: Trial, message: str) -> Record:
        """The failure of a metric on a finished trial; what was stored of it stays as it is."""
        outcome = Outcome(status="error", phase="score", message=message)
        record = self._done[trial.trial_id] = redact_record(finish_record(trial.draft, outcome))
        self.progress.show_end(record, skipped=False)
        return record


def _find_needed_artifacts(plan: Plan, store: RunStore) -> set[str]:
    """Ids of the trials from which unfinished trials start, so that their artifacts are needed."""
    wanted: set[str] = set()
    for trial in reversed(plan.trials):  # in reverse, since a start comes before the trials that need it
        if trial.start and trial.refused is None and not _find_finished(trial, store, keep=trial.trial_id in wanted):
            wanted.add(trial.start)
    return wanted


def _find_finished(trial: Trial, store: RunStore, *, keep: bool) -> Record | None:
    """The record of an earlier run; `None` if the trial must run, or if its artifacts are needed and missing.

    A trial that the user asked to run again is not finished.
    """
    if trial.trial_id in store.read_rerun_list():
        return None
    record = store.find_finished(trial.trial_id)
    if record is None:
        return None
    kept = store.artifacts_path(trial.trial_id).is_dir()
    return record if kept or not (keep or trial.request.save_models) else None


def _update_record(record: Record, trial: Trial, store: RunStore) -> Record:
    """Update what a finished record derives from the current flags: cost and time to the target quality."""
    renewed = retarget(_add_cost(record, trial.request.price_per_hour), trial.request.learning_curve)
    if renewed != record:
        store.add(renewed, replace=True)
    return renewed


def _add_cost(record: Record, price: float | None) -> Record:
    total = record.metrics.get("total_seconds")
    if price is None or total is None:
        return record
    return dataclasses.replace(record, metrics={**record.metrics, "cost": compute_cost(total, price)})


def _try_trial(
    trial: Trial, start: Record | None, store: RunStore, launcher: Launcher, progress: Progress, *, keep: bool
) -> Record:
    """Run a trial and return its record; if memory runs out and the user asked for it, retry with smaller batches."""
    if trial.refused is not None:
        status, reason = trial.refused
        return finish_record(trial.draft, Outcome(status=status, phase="start", message=reason))
    if start is not None and not start.ok:
        what = f"{start.variant} seed {start.seed}, from which this trial starts, ended with status {start.status}"
        message = f"{what}: {start.message}" if start.message else what
        return finish_record(trial.draft, Outcome(status="error", phase="start", message=message))
    store.remove_links(trial.trial_id)
    draft = dataclasses.replace(trial.draft, log=store.log_name(trial.trial_id))
    places = Places(
        artifacts=str(store.artifacts_path(trial.trial_id).resolve()),
        predictions=str(store.predictions_path(trial.trial_id).resolve()),
        stages=str(store.stages_path(trial.trial_id).resolve()),
        checkpoint=str(store.checkpoint_path(trial.trial_id).resolve()),
        start=str(store.artifacts_path(trial.start).resolve()) if trial.start else None,
    )
    request = dataclasses.replace(trial.request, save_models=keep or trial.request.save_models, places=places)
    tried: list[OutOfMemoryTry] = []
    while True:
        outcome = _launch(launcher, request, store.log_path(trial.trial_id), progress.show_event)
        halved = halve_batch(request, outcome.phase) if outcome.status == "oom" else None
        if halved is None or trial.request.on_oom != "halve-batch":
            break
        sizes = dataclasses.asdict(_read_batch_sizes(request))
        tried.append(OutOfMemoryTry(**sizes, phase=outcome.phase, message=outcome.message))
        request = halved
    record = finish_record(draft, outcome)
    if not tried:
        return record
    # The record keeps the requested batch size: the trial is still comparable with those that had enough memory.
    smaller = write_detail(SmallerBatches(tried=tuple(tried), used=_read_batch_sizes(request)))
    return dataclasses.replace(record, details={**record.details, "smaller_batches": smaller})


def _launch(launcher: Launcher, request: TrialRequest, log: Path, on_event: Callable[[Event], None]) -> Outcome:
    """Launch a trial and return its outcome; a launcher that raises an error fails only this trial."""
    try:
        outcome: Any = launcher.launch(request, log, on_event)
    except OSError:  # the run directory cannot be written, which concerns every trial
        raise
    except Exception as error:  # third-party launchers may raise anything
        with log.open("a", encoding="utf-8") as lines:
            traceback.print_exc(file=lines)
        outcome = f"failed: {describe_error_with_type(error)}"
    else:
        if isinstance(outcome, Outcome):
            return outcome
        outcome = f"returned {type(outcome).__name__}, not an outcome"
    return Outcome(status="error", phase="start", message=f"the launcher {launcher.name} {outcome}")


def halve_batch(request: TrialRequest, phase: str | None) -> TrialRequest | None:
    """The request with at most half the batch size in the phase that ran out of memory; `None` if it was already 1.

    In training the effective batch size stays the same: accumulation grows as the batch shrinks.
    """
    training, decoding = request.training, request.decoding
    if phase == "evaluate":
        size = decoding.batch_size // 2
        smaller = dataclasses.replace(decoding, batch_size=size)
        return dataclasses.replace(request, decoding=smaller) if size else None
    if phase != "train" or training.batch_size == 1:
        return None
    size = next(size for size in range(training.batch_size // 2, 0, -1) if training.effective % size == 0)
    batches = dataclasses.replace(training, batch_size=size, accumulation=training.effective // size)
    return dataclasses.replace(request, training=batches)


def _read_batch_sizes(request: TrialRequest) -> BatchSizes:
    return BatchSizes(
        batch_size=request.training.batch_size,
        accumulation=request.training.accumulation,
        eval_batch_size=request.decoding.batch_size,
    )

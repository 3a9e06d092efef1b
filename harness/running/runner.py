"""Drives the trials of a plan one after another: skips what is finished, launches the rest, stores every outcome.

A failed trial never stops the others. One that was interrupted is recorded, and ends the run with `KeyboardInterrupt`.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.launchers.base import Launcher
from harness.measure.meter import compute_cost
from harness.measure.time_to_quality import retarget
from harness.outcome import Outcome, finish_record
from harness.planning.plan import Plan, Trial
from harness.request import Places, TrialRequest
from methods.errors import describe_error_with_type
from reports.records.record import Record, redacted
from reports.records.store import RunStore

_NO_RETURN = ("ok", "diverged", "unsupported")
"""Endings after which no other try could go on from a checkpoint."""


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


class Runner:
    """Carries trials out one after another, and leaves a record of each."""

    def __init__(
        self,
        store: RunStore,
        launcher: Launcher,
        progress: Progress,
        asked_to_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self.store = store
        self.launcher = launcher
        self.progress = progress
        self.asked_to_end = asked_to_end
        self._done: dict[str, Record] = {}

    def run(self, plan: Plan) -> list[Record]:
        """Run what is not finished yet and return one record per trial, in the order of the plan.

        No trial begins once the run was asked to end. Raises `KeyboardInterrupt` for a run that ends early.
        """
        records: dict[str, Record] = {}
        wanted = _artifacts_wanted(plan, self.store)
        for trial in plan.trials:
            start = records[trial.start] if trial.start else None
            records[trial.trial_id] = self.trial(trial, start, keep=trial.trial_id in wanted)
        return list(records.values())

    def trial(self, trial: Trial, start: Record | None = None, *, keep: bool = False) -> Record:
        """The record of one trial, which goes on from `start`; `keep` what it ships, since others start from it."""
        if trial.trial_id in self._done:  # the base, when searches came first
            return self._done[trial.trial_id]
        finished = _finished(trial, self.store, keep=keep)
        if finished is not None:
            record = self._done[trial.trial_id] = _renewed(finished, trial, self.store)
            self.progress.ended(record, skipped=True)
            return record
        if self.asked_to_end():
            raise KeyboardInterrupt
        self.progress.started(trial)
        record = redacted(_attempt(trial, start, self.store, self.launcher, self.progress, keep=keep))
        self.store.renew(record)
        if record.status in _NO_RETURN and not trial.request.keep_checkpoints:
            self.store.drop_checkpoint(trial.trial_id)
        self.progress.ended(record, skipped=False)
        if record.status == "interrupted":
            raise KeyboardInterrupt
        self._done[trial.trial_id] = record
        return record


def _artifacts_wanted(plan: Plan, store: RunStore) -> set[str]:
    """Ids of the trials that others, which have yet to run, start from: what they ship must be there by then."""
    wanted: set[str] = set()
    for trial in reversed(plan.trials):  # a start comes before what goes on from it
        if trial.start and trial.refused is None and not _finished(trial, store, keep=trial.trial_id in wanted):
            wanted.add(trial.start)
    return wanted


def _finished(trial: Trial, store: RunStore, *, keep: bool) -> Record | None:
    """The record of an earlier run, if what the trial ships is there too where that has to be kept.

    One that is to run again is not finished.
    """
    if trial.trial_id in store.asked_again():
        return None
    record = store.finished(trial.trial_id)
    if record is None or not _has_scores(record, trial):
        return None
    kept = store.artifacts_path(trial.trial_id).is_dir()
    return record if kept or not (keep or trial.request.save_models) else None


def _has_scores(record: Record, trial: Trial) -> bool:
    """Whether all metrics that are asked for were measured, those of the user by the code that they have now."""
    own = {name: code for name, code in trial.draft.scoring.items() if name != "rouge"}
    return own.items() <= record.scoring.items()


def _renewed(record: Record, trial: Trial, store: RunStore) -> Record:
    """The record with what is worked out anew: cost at the price, time to the quality that is given now."""
    renewed = retarget(_priced(record, trial.request.price_per_hour), trial.request.learning_curve)
    if renewed != record:
        store.add(renewed, replace=True)
    return renewed


def _priced(record: Record, price: float | None) -> Record:
    total = record.metrics.get("total_seconds")
    if price is None or total is None:
        return record
    return dataclasses.replace(record, metrics={**record.metrics, "cost": compute_cost(total, price)})


def _attempt(
    trial: Trial, start: Record | None, store: RunStore, launcher: Launcher, progress: Progress, *, keep: bool
) -> Record:
    """The record of a trial that is tried now, with smaller batches where memory ran out and that was asked for."""
    if trial.refused is not None:
        status, reason = trial.refused
        return finish_record(trial.draft, Outcome(status=status, phase="start", message=reason))
    if start is not None and not start.ok:
        what = f"{start.variant} seed {start.seed}, from which this trial starts, ended {start.status}"
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
    tried: list[dict[str, Any]] = []
    while True:
        outcome = _launched(launcher, request, store.log_path(trial.trial_id), progress.event)
        smaller = halve_batch(request, outcome.phase) if outcome.status == "oom" else None
        if smaller is None or trial.request.on_oom != "halve-batch":
            break
        tried.append({**_sizes(request), "phase": outcome.phase, "message": outcome.message})
        request = smaller
    record = finish_record(draft, outcome)
    if not tried:
        return record
    # The fields of training and decoding stay as asked for: the trial is still comparable with those that had room.
    smaller_batches = {"tried": tried, "used": _sizes(request)}
    return dataclasses.replace(record, details={**record.details, "smaller_batches": smaller_batches})


def _launched(
    launcher: Launcher, request: TrialRequest, log: Path, on_event: Callable[[Mapping[str, Any]], None]
) -> Outcome:
    """What became of a trial; a launcher that fails costs this trial and no other."""
    try:
        outcome: Any = launcher.launch(request, log, on_event)
    except OSError:  # of the run directory: no other trial would fare better
        raise
    except Exception as error:  # it may be anyone's code
        with log.open("a", encoding="utf-8") as lines:
            traceback.print_exc(file=lines)
        outcome = f"failed: {describe_error_with_type(error)}"
    else:
        if isinstance(outcome, Outcome):
            return outcome
        outcome = f"gave {type(outcome).__name__}, not an outcome"
    return Outcome(status="error", phase="start", message=f"the launcher {launcher.name} {outcome}")


def halve_batch(request: TrialRequest, phase: str | None) -> TrialRequest | None:
    """The request with at most half the batch of the phase in which memory ran out; `None` where there is no less.

    In training the effective batch stays: what the batch loses, accumulation gains.
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


def _sizes(request: TrialRequest) -> dict[str, int]:
    return {
        "batch_size": request.training.batch_size,
        "accumulation": request.training.accumulation,
        "eval_batch_size": request.decoding.batch_size,
    }

"""Child side: one trial → one outcome. `python -m harness.worker --events FD`, request on standard input.

This is the only place that knows the order of a trial: load, prepare, train, save, evaluate. Whatever goes wrong
becomes an outcome with phase, step and one sentence; the traceback goes to the trial's log.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from harness.errors import DataError
from harness.feedback.given import load_feedback
from harness.feedback.rewards import model_of
from harness.measure.meter import Meter, process_age
from harness.models.backend import LoadedModel, find_backend
from harness.outcome import INTERRUPTED, Outcome
from harness.plugins.files import add_file
from harness.request import TrialRequest
from harness.scoring.chosen import find_as_planned
from harness.tasks import load_task
from harness.tasks.base import Task
from harness.worker import artifacts
from harness.worker.checkpoint import Interrupted, Stop, TrialCheckpoint
from harness.worker.evaluate import Evaluation, Evaluator, with_metric
from harness.worker.failures import describe_failure
from harness.worker.forgetting import GeneralLoss, compared
from harness.worker.learning_curve import LearningCurve
from harness.worker.stages import TrialObserver
from methods import registry
from methods.errors import DivergedError, UnsupportedError
from methods.feedback import Feedback
from methods.types import Example, Setting, StepEvent, TrainingJob
from reports.metrics import Metric

TELL_EVERY_SECONDS = 0.2
"""At most five step events a second cross the pipe; the meter sees every one."""


class Worker:
    """Carries one trial out and keeps what is known of it, so that a failure can be reported from anywhere."""

    def __init__(self, request: TrialRequest, events: TextIO, stop: Stop) -> None:
        self.request = request
        self.events = events
        self.stop = stop
        self.started_at = _now()
        if request.places is None:
            raise ValueError("the request names no places")
        self.places = request.places
        self.facts = request.model.get_facts(request.device)
        self.backend = find_backend(request.model.backend)
        self.meter = Meter(self.facts.device if self.backend.watched else "none", age=process_age())
        self.phase_name = "start"
        self.done = {"steps": 0, "tokens": 0, "examples": 0}
        self.cut: dict[str, int] = {}
        self.metrics: dict[str, float | None] = {}
        self.scores: dict[str, tuple[float, ...]] = {}
        self.declared: dict[str, Metric] = {}
        self.parameters: int | None = None
        self._told = 0.0
        self.observer = TrialObserver(
            self.meter, Path(self.places.stages), keep_models=request.save_models, tell=self._on_stage
        )
        self.checkpoint = TrialCheckpoint(request, stop, carry=self._carried, note=self._note, aside=self.meter.aside)
        self.learning_curve = LearningCurve(request.learning_curve, self.meter, stop)

    def run(self) -> Outcome:
        """The outcome of the trial, whatever becomes of it."""
        try:
            try:
                self._run()
            finally:
                self.stop.deferred = True  # there is nothing more to end, only to tell
        except Interrupted:
            return self._outcome("interrupted", INTERRUPTED)
        except Exception as error:  # any failure is a result; what it was is for the record
            traceback.print_exc()
            status, message = describe_failure(error)
            return self._outcome(status, message)
        return self._outcome("ok", None)

    def _run(self) -> None:
        request = self.request
        for file in request.plugins:
            add_file(Path(file))
        method = registry.build(request.method, request.settings)
        if reason := method.unsupported(self.facts):
            raise UnsupportedError(reason)
        self._go_on()
        task = load_task(request.task)
        if task.fingerprint != request.fingerprint:
            raise DataError("the data changed after the run was planned; start the run again")
        limits = request.training.limits

        with self._phase("load"):
            feedback = load_feedback(request, task)
            base = self.backend.load(method, request, self.facts)
            self.meter.seed(base.model)
            if model_of(feedback.reward) is not None:
                self.meter.seed(model_of(feedback.reward))
            general = self._general(base)
            # Of the weights as they were loaded: no adapter, no start of one.
            before = self._general_loss(general, base.model) if method.trains else None
            setting = Setting(self.facts, base.dtype, base.tokenizer, task.train, task.templates, limits, request.seed)
            loaded = dataclasses.replace(base, model=method.prepare(base.model, setting))
            del base  # a method may have put another model in its place
            trainable, total = self.backend.count_parameters(loaded.model)
            self.parameters = total
            self.metrics.update(
                trainable_parameters=trainable if method.trains else 0,
                total_parameters=total,
                trainable_percent=100 * trainable / total if method.trains else 0.0,
            )

        evaluator = Evaluator(self.backend, method, loaded, task.templates, limits, request.decoding)
        if method.trains:
            with self._phase("train"):
                self.learning_curve.begin(evaluator, task.validation)
                method.train(self._job(loaded, task, feedback))
                self.learning_curve.end(self.done)
        del feedback  # the reward may be a model, which must not weigh on what follows
        with self._phase("save"):
            self.metrics["shipped_bytes"] = artifacts.ship(method, loaded.model, request, self.places)
        with self._phase("evaluate"):
            examples = task.test if request.split == "test" else task.validation
            evaluation = evaluator.evaluate(examples, self._on_evaluated)
            self.cut[request.split] = evaluation.cut
            self._keep(evaluation.metrics, evaluation.scores)
            loss = evaluation.metrics.get("heldout_loss")
            if method.trains and loss is not None and not math.isfinite(loss):  # the last step is seen by none after it
                raise DivergedError(self.done["steps"], loss)
            artifacts.write_predictions(evaluation.rows, Path(self.places.predictions))
            if (after := self._general_loss(general, loaded.model)) is not None:
                self._keep(*compared(before, after))
        if request.metrics:
            self._score(evaluation, examples)

    def _keep(self, metrics: Mapping[str, float | None], scores: Mapping[str, Sequence[float]]) -> None:
        self.metrics.update(metrics)
        finite = {name: values for name, values in scores.items() if all(map(math.isfinite, values))}
        self.scores.update({name: tuple(round(v, 6) for v in values) for name, values in finite.items()})

    def _general(self, base: LoadedModel) -> GeneralLoss | None:
        """What measures forgetting; `None` where that was not asked for."""
        request = self.request
        if not request.general_text:
            return None
        limits, size = request.training.limits, request.decoding.batch_size
        return GeneralLoss(request.general_text, base.tokenizer, self.facts, limits, batch_size=size, dtype=base.dtype)

    def _general_loss(self, general: GeneralLoss | None, model: Any) -> list[float] | None:
        """The loss on general text, if it is measured. What that costs is no method's."""
        if general is None:
            return None
        with self.meter.aside():
            return general.of(model)

    def _score(self, evaluation: Evaluation, examples: Sequence[Example]) -> None:
        """The metrics that were asked for besides ROUGE. What they cost is no method's: it is in no phase."""
        self.phase_name = "score"
        self._tell({"event": "phase", "name": "score"})
        metrics = find_as_planned(self.request.metrics)
        for measured in metrics.measure(examples, [row["prediction"] for row in evaluation.rows]):
            evaluation = with_metric(evaluation, measured)
            self._keep(evaluation.metrics, evaluation.scores)
            self.declared.update(evaluation.declared)
        artifacts.write_predictions(evaluation.rows, Path(self.places.predictions))

    def _go_on(self) -> None:
        """Take over what was measured up to the checkpoint of an interrupted run, if there is one."""
        carried = self.checkpoint.open()
        if carried is None:
            self.observer.begin()
            return
        self.started_at, self.done, self.cut = carried["started_at"], carried["done"], carried["cut"]
        self.meter.restore(carried["meter"])
        self.learning_curve.restore(carried["learning_curve"])
        self.observer.metrics(carried["told"])
        self.observer.details(carried["details"])
        times = carried["details"].get("resumed", {}).get("times", 0) + 1
        self.observer.details({"resumed": {"times": times, "from_step": self.done["steps"]}})

    def _carried(self) -> dict[str, Any]:
        """What `_go_on` takes over."""
        return {
            "started_at": self.started_at,
            "done": self.done,
            "cut": self.cut,
            "meter": self.meter.state(),
            "learning_curve": self.learning_curve.state(),
            "told": self.observer.told,
            "details": self.observer.details_told,
        }

    def _note(self, what: str, reason: str) -> None:
        self.observer.details({"checkpoint": {what: reason}})

    def _job(self, loaded: LoadedModel, task: Task, feedback: Feedback) -> TrainingJob:
        training = self.request.training
        self.checkpoint.bind(loaded.model)
        return TrainingJob(
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            facts=self.facts,
            examples=task.train,
            validation=task.validation,
            templates=task.templates,
            budget=self.request.budget,
            limits=training.limits,
            batch_size=training.batch_size,
            accumulation=training.accumulation,
            seed=self.request.seed,
            dtype=loaded.dtype,
            emit=self._on_step,
            clock=self.meter.now,
            feedback=feedback,
            observer=self.observer,
            checkpoint=self.checkpoint,
        )

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.phase_name = name
        self._tell({"event": "phase", "name": name})
        with self.meter.phase(name):
            yield

    def _on_step(self, event: StepEvent) -> None:
        self.meter.on_step(event)
        self.done["steps"] = self.checkpoint.steps = event.step
        self.done["tokens"] += event.tokens
        self.done["examples"] += event.examples
        self.cut["train"] = self.cut.get("train", 0) + event.cut
        now = time.monotonic()
        if now - self._told >= TELL_EVERY_SECONDS or event.progress >= 1:
            self._told = now
            live = self.meter.live()
            self._tell({"event": "step", "step": event.step, "progress": event.progress, "loss": event.loss, **live})
        if event.evaluable:
            self.learning_curve.after_step(self.done)

    def _on_stage(self, name: str) -> None:
        self._tell({"event": "stage", "name": name})

    def _on_evaluated(self, share: float) -> None:
        self._tell({"event": "evaluated", "progress": share, "host_bytes": self.meter.live()["host_bytes"]})

    def _tell(self, event: Mapping[str, Any]) -> None:
        self.stop.check()
        # A loss may be NaN, which JSON has no word for.
        clean = {key: None if value != value else value for key, value in event.items()}
        self.events.write(json.dumps(clean) + "\n")
        self.events.flush()

    def _outcome(self, status: Any, message: str | None) -> Outcome:
        measured = self.meter.metrics(self.request.price_per_hour)
        return Outcome(
            status=status,
            metrics={**measured, **self.observer.told, **self.metrics, **self.learning_curve.metrics()},
            phases=dict(self.meter.phases),
            scores=self.scores,
            declared=self.declared,
            curve=tuple(self.meter.curve),
            learning_curve=tuple(self.learning_curve.points),
            details={**self.observer.details_told, **self.learning_curve.details()},
            done=self.done,
            cut=self.cut,
            parameters=self.parameters,
            phase=None if status == "ok" else "evaluate" if self.learning_curve.measuring else self.phase_name,
            step=None if status == "ok" else self.done["steps"],
            message=message,
            started_at=self.started_at,
            finished_at=_now(),
        )


def main() -> int:
    """Read a request, run it, write the outcome; the exit code is 0 whenever an outcome was written."""
    parser = argparse.ArgumentParser(prog="python -m harness.worker")
    parser.add_argument("--events", type=int, required=True, help="file descriptor of the event pipe")
    arguments = parser.parse_args()
    os.set_inheritable(arguments.events, False)
    stop = Stop()
    signal.signal(signal.SIGTERM, stop)
    with os.fdopen(arguments.events, "w", encoding="utf-8") as events:
        worker = Worker(TrialRequest.from_json(sys.stdin.buffer.read()), events, stop)
        outcome = worker.run()
        events.write(outcome.to_json() + "\n")
    return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main())

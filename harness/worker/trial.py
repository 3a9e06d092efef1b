"""The order of a trial: load, prepare, train, save, evaluate, score. No other module knows it.

Whatever goes wrong becomes an outcome with phase, step and one sentence; the traceback goes to the trial's log.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from harness.errors import DataError
from harness.feedback.given_feedback import load_feedback
from harness.feedback.rewards import find_reward_model
from harness.measure.meter import Meter, read_process_age
from harness.models.backend import LoadedModel, find_backend
from harness.outcome import INTERRUPTED, Outcome, format_now
from harness.plugins.files import add_file
from harness.request import TrialRequest
from harness.scoring.selection import find_planned_metrics
from harness.scoring.summary import Evaluation, add_metric
from harness.tasks import load_task
from harness.tasks.base import Task
from harness.worker import artifacts
from harness.worker.carried_state import CarriedState
from harness.worker.checkpoint import TrialCheckpoint
from harness.worker.evaluation import Evaluator
from harness.worker.events import EventWriter
from harness.worker.failures import describe_failure
from harness.worker.forgetting import GeneralLoss, compare_losses
from harness.worker.learning_curve import LearningCurve
from harness.worker.observer import TrialObserver
from harness.worker.results import TrialResults
from harness.worker.stop_signal import Interrupted, StopSignal
from methods import registry
from methods.base import Method
from methods.errors import DivergedError, UnsupportedError
from methods.feedback import Feedback
from methods.types import Example, Setting, StepEvent, TrainingJob
from reports.records.details import CheckpointDetails, ResumedDetails, read_details, write_detail


class Worker:
    """Carries out one trial, and keeps its results as they come, so that a failure at any point can report them."""

    def __init__(self, request: TrialRequest, events: TextIO, stop: StopSignal) -> None:
        if request.places is None:
            raise ValueError("the request names no places")
        self.request = request
        self.places = request.places
        self.stop = stop
        self.started_at = format_now()
        self.phase_name = "start"
        self.results = TrialResults()
        self.facts = request.model.get_facts(request.device)
        self.backend = find_backend(request.model.backend)
        self.meter = Meter(self.facts.device if self.backend.watched else "none", age=read_process_age())
        self.events = EventWriter(events, self.meter, stop)
        self.observer = TrialObserver(
            self.meter, Path(self.places.stages), keep_models=request.save_models, on_stage=self.events.write_stage
        )
        self.checkpoint = TrialCheckpoint(
            request, stop, carry=self._carry_state, note=self._note_problem, exclude=self.meter.exclude
        )
        self.learning_curve = LearningCurve(request.learning_curve, self.meter, stop)

    def run(self) -> Outcome:
        """Carry out the trial and return its outcome, whether it succeeds or fails."""
        try:
            try:
                self._run_in_order()
            finally:
                self.stop.deferred = True  # only the outcome is left to write, and a signal must not prevent that
        except Interrupted:
            return self._make_outcome("interrupted", INTERRUPTED)
        except Exception as error:  # any failure is a result, and the record says what it was
            traceback.print_exc()
            status, message = describe_failure(error)
            return self._make_outcome(status, message)
        return self._make_outcome("ok", None)

    def _run_in_order(self) -> None:
        method = self._build_method()
        self._take_over_carried_state()
        task = self._load_task()

        with self._measure_phase("load"):
            feedback = load_feedback(self.request, task)
            base = self.backend.load(method, self.request, self.facts)
            self._count_models(base, feedback)
            general = self._make_general_loss(base)
            # Of the weights as they were loaded: the method has not changed or added any yet.
            general_before = self._measure_general_loss(general, base.model) if method.trains else None
            loaded = dataclasses.replace(base, model=method.prepare(base.model, self._make_setting(base, task)))
            del base  # the method may have put another model in its place
            trainable, total = self.backend.count_parameters(loaded.model)
            self.results.add_parameters(trainable if method.trains else 0, total)

        limits, decoding = self.request.training.limits, self.request.decoding
        evaluator = Evaluator(self.backend, method, loaded, task.templates, limits, decoding)
        if method.trains:
            with self._measure_phase("train"):
                self.learning_curve.begin(evaluator, task.validation)
                method.train(self._make_job(loaded, task, feedback))
                self.learning_curve.end(self.results.done)
        del feedback  # the reward may be a model, whose memory must not count for what follows

        with self._measure_phase("save"):
            self.results.metrics["shipped_bytes"] = artifacts.ship(method, loaded.model, self.request, self.places)

        examples = task.test if self.request.split == "test" else task.validation
        with self._measure_phase("evaluate"):
            evaluation = self._evaluate(evaluator, examples)
            general_after = self._measure_general_loss(general, loaded.model)
            if general_after is not None:
                self.results.add(*compare_losses(general_before, general_after))
        if self.request.metrics:
            self._score(evaluation, examples)

    def _build_method(self) -> Method:
        for file in self.request.plugins:
            add_file(Path(file))
        method = registry.build(self.request.method, self.request.settings)
        if reason := method.unsupported(self.facts):
            raise UnsupportedError(reason)
        return method

    def _load_task(self) -> Task:
        task = load_task(self.request.task)
        if task.fingerprint != self.request.fingerprint:
            raise DataError("the data changed after the run was planned; start the run again")
        return task

    def _count_models(self, base: LoadedModel, feedback: Feedback) -> None:
        """Tell the meter of the models in memory, whose weights it has not seen being made."""
        self.meter.count_model(base.model)
        if (reward_model := find_reward_model(feedback.reward)) is not None:
            self.meter.count_model(reward_model)

    def _make_setting(self, base: LoadedModel, task: Task) -> Setting:
        limits, seed = self.request.training.limits, self.request.seed
        return Setting(self.facts, base.dtype, base.tokenizer, task.train, task.templates, limits, seed)

    def _make_job(self, loaded: LoadedModel, task: Task, feedback: Feedback) -> TrainingJob:
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
            emit=self._record_step,
            clock=self.meter.read_clock,
            feedback=feedback,
            observer=self.observer,
            checkpoint=self.checkpoint,
        )

    def _record_step(self, event: StepEvent) -> None:
        results = self.results
        self.meter.on_step(event)
        results.done["steps"] = self.checkpoint.steps = event.step
        results.done["tokens"] += event.tokens
        results.done["examples"] += event.examples
        results.cut["train"] = results.cut.get("train", 0) + event.cut
        self.events.write_step(event)
        if event.evaluable:
            self.learning_curve.after_step(results.done)

    def _evaluate(self, evaluator: Evaluator, examples: Sequence[Example]) -> Evaluation:
        evaluation = evaluator.evaluate(examples, self.events.write_evaluated)
        self.results.cut[self.request.split] = evaluation.cut
        self.results.add(evaluation.metrics, evaluation.scores)
        loss = evaluation.metrics.get("heldout_loss")
        if evaluator.method.trains and loss is not None and not math.isfinite(loss):
            # The last step may have caused it: no later step would have noticed.
            raise DivergedError(self.results.done["steps"], loss)
        artifacts.write_predictions(evaluation.rows, Path(self.places.predictions))
        return evaluation

    def _make_general_loss(self, base: LoadedModel) -> GeneralLoss | None:
        """What measures forgetting; `None` where that was not asked for."""
        request = self.request
        if not request.general_text:
            return None
        limits, size = request.training.limits, request.decoding.batch_size
        return GeneralLoss(request.general_text, base.tokenizer, self.facts, limits, batch_size=size, dtype=base.dtype)

    def _measure_general_loss(self, general: GeneralLoss | None, model: Any) -> list[float] | None:
        """The loss on general text, if it is measured. What measuring it costs is not counted for the method."""
        if general is None:
            return None
        with self.meter.exclude():
            return general.measure(model)

    def _score(self, evaluation: Evaluation, examples: Sequence[Example]) -> None:
        """Add the metrics that were asked for besides ROUGE. They are in no phase: their cost is not the method's."""
        self.phase_name = "score"
        self.events.write_phase("score")
        metrics = find_planned_metrics(self.request.metrics)
        for measured in metrics.measure(examples, [row["prediction"] for row in evaluation.rows]):
            evaluation = add_metric(evaluation, measured)
            self.results.add(evaluation.metrics, evaluation.scores)
            self.results.declared.update(evaluation.declared)
        artifacts.write_predictions(evaluation.rows, Path(self.places.predictions))

    @contextlib.contextmanager
    def _measure_phase(self, name: str) -> Iterator[None]:
        self.phase_name = name
        self.events.write_phase(name)
        with self.meter.measure_phase(name):
            yield

    def _take_over_carried_state(self) -> None:
        """Go on from the checkpoint of an interrupted run of this trial, if there is one."""
        carried = self.checkpoint.open()
        if carried is None:
            self.observer.clear_folder()
            return
        self.started_at = carried.started_at
        self.results.done, self.results.cut = dict(carried.done), dict(carried.cut)
        self.meter.restore(carried.meter)
        self.learning_curve.restore(carried.learning_curve)
        self.observer.metrics(carried.metrics)
        self.observer.details(carried.details)
        before = read_details(carried.details).resumed
        resumed = ResumedDetails(times=before.times + 1 if before else 1, from_step=carried.done["steps"])
        self.observer.details({"resumed": write_detail(resumed)})

    def _carry_state(self) -> CarriedState:
        """What `_take_over_carried_state` reads in the next process."""
        return CarriedState(
            started_at=self.started_at,
            done=self.results.done,
            cut=self.results.cut,
            meter=self.meter.get_state(),
            learning_curve=self.learning_curve.get_state(),
            metrics=self.observer.reported_metrics,
            details=self.observer.reported_details,
        )

    def _note_problem(self, problem: CheckpointDetails) -> None:
        self.observer.details({"checkpoint": write_detail(problem, known_only=True)})

    def _make_outcome(self, status: Any, message: str | None) -> Outcome:
        results, curve, observer = self.results, self.learning_curve, self.observer
        measured = self.meter.compute_metrics(self.request.price_per_hour)
        return Outcome(
            status=status,
            metrics={**measured, **observer.reported_metrics, **results.metrics, **curve.compute_metrics()},
            phases=dict(self.meter.phases),
            scores=results.scores,
            declared=results.declared,
            curve=tuple(self.meter.curve),
            learning_curve=tuple(curve.points),
            details={**observer.reported_details, **curve.describe_cost()},
            done=results.done,
            cut=results.cut,
            parameters=results.parameters,
            phase=None if status == "ok" else "evaluate" if curve.measuring else self.phase_name,
            step=None if status == "ok" else results.done["steps"],
            message=message,
            started_at=self.started_at,
            finished_at=format_now(),
        )

"""Trainings that are killed, as far as one process can: the exception leaves nothing but the checkpoint's file."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from harness.planning.planner import make_plan
from harness.request import BatchSettings, Decoding, ModelSource, Places, TaskRequest, TrialRequest
from harness.spec.spec import build_spec
from harness.worker.carried_state import CarriedState
from harness.worker.checkpoint import TrialCheckpoint
from harness.worker.stop_signal import StopSignal
from methods.types import Budget


class Killed(BaseException):
    """What happens to a training in the tests of checkpoints."""


NOTHING = CarriedState(started_at="", done={}, cut={}, meter={}, learning_curve={}, metrics={}, details={})
"""What a worker carries over that has measured nothing."""


class Mortal:
    """Runs a training with the real checkpoint of trials in a file, again and again until it is through."""

    def __init__(self, folder, make, every=1):
        self.file = folder / "trial.safetensors"
        self.make = make
        self.every = Budget("steps", every)
        self.steps = []
        """Number of every step that was told, those that were done twice included."""

    def _make_request(self, job):
        toy = make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy"})).trials[1].request
        training = dataclasses.replace(toy.training, batch_size=job.batch_size, accumulation=job.accumulation)
        places = Places(artifacts="", predictions="", stages="", checkpoint=str(self.file))
        return dataclasses.replace(toy, device="cpu", training=training, checkpoint_every=self.every, places=places)

    def run(self, moment=None):
        """(job, whether it came to its end); it dies when a step of this number ends or a stage of this name begins."""
        method, job = self.make()
        observer, stage = job.observer, job.observer.stage
        told = {name: value for name, value in vars(observer).items() if isinstance(value, dict)}
        checkpoint = TrialCheckpoint(
            self._make_request(job),
            StopSignal(),
            carry=lambda: dataclasses.replace(NOTHING, details=told),
            note=lambda *what: pytest.fail(str(what)),
        )
        for name, values in (checkpoint.open() or NOTHING).details.items():
            told[name].update(values)
        checkpoint.bind(job.model)

        def emit(event):
            checkpoint.steps = event.step
            self.steps.append(event.step)
            if event.step == moment:
                raise Killed

        @contextlib.contextmanager
        def at_stage(name):
            with stage(name):
                if name == moment:
                    raise Killed
                yield

        observer.stage = at_stage
        job = dataclasses.replace(job, emit=emit, checkpoint=checkpoint)
        try:
            method.train(job)
        except Killed:
            return job, False
        return job, True

    def _make_request(self, job):
        """The request of a trial that does this job and writes into the test's folder."""
        facts = job.facts
        places = {name: str(self.file.with_name(name)) for name in ("artifacts", "predictions", "stages")}
        return TrialRequest(
            trial_id="0123456789abcdef",
            method="",
            settings={},
            seed=job.seed,
            model=ModelSource(facts.name, "directory", str(self.file.parent), None, facts.architecture, facts.family),
            task=TaskRequest(),
            fingerprint="",
            budget=job.budget,
            training=BatchSettings(
                batch_size=job.batch_size, accumulation=job.accumulation, **dataclasses.asdict(job.limits)
            ),
            decoding=Decoding(max_new_tokens=job.limits.target_tokens, batch_size=job.batch_size),
            device="cpu",
            dtype="float32",
            checkpoint_every=self.every,
            places=Places(checkpoint=str(self.file), **places),
        )


@pytest.fixture
def mortal(tmp_path):
    """A function that makes a `Mortal` of a function that makes (method, job)."""
    return lambda make, every=1: Mortal(tmp_path, make, every)


@pytest.fixture
def weights():
    """A function that gives the weights of a job's model as bytes, by name."""
    import torch

    return lambda job: {
        name: p.detach().view(torch.uint8).numpy().tobytes() for name, p in job.model.named_parameters()
    }

"""The local launcher with real workers: outcomes, time limits, killed processes, and no process left."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.events import PhaseEvent, StepProgress
from harness.launchers.local import LocalLauncher, build_worker_environment
from harness.outcome import Outcome
from harness.planning.planner import make_plan
from harness.request import Places, TrialRequest
from harness.spec.spec import build_spec
from reports.records.record import Phase

pytestmark = pytest.mark.own


def build_toy_request(tmp_path: Path, **settings) -> TrialRequest:
    knobs = [f"toy.{key}={value}" for key, value in settings.items()]
    spec = build_spec({"model": "toy", "task": "toy", "methods": "toy", "set": knobs, "budget": "steps=5"})
    names = {"artifacts": "artifacts", "predictions": "p.jsonl", "stages": "stages", "checkpoint": "c.safetensors"}
    places = Places(**{key: str(tmp_path / name) for key, name in names.items()})
    return dataclasses.replace(make_plan(spec).trials[1].request, places=places, checkpoint_every=None)


def launch(tmp_path, timeout=None, **settings) -> tuple[Outcome, list]:
    events: list = []
    outcome = LocalLauncher(timeout).launch(build_toy_request(tmp_path, **settings), tmp_path / "log", events.append)
    return outcome, events


def test_a_successful_trial(tmp_path):
    outcome, events = launch(tmp_path)
    assert outcome.status == "ok", (tmp_path / "log").read_text()
    assert outcome.done["steps"] == 5
    assert [event.name for event in events if isinstance(event, PhaseEvent)] == [
        "load",
        "train",
        "save",
        "evaluate",
    ]
    assert set(outcome.phases) == {"load", "train", "save", "evaluate"}
    assert outcome.metrics["rougeL"] is not None
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {"id", "references", "prediction", "scores"} <= set(rows[0])


@pytest.mark.parametrize("ending", ["error", "diverged", "unsupported", "oom"])
def test_every_failure_names_its_phase_and_reason(tmp_path, ending):
    outcome, _ = launch(tmp_path, ending=ending)
    assert outcome.status == ending
    assert outcome.phase == "train"
    assert outcome.message
    assert "load" in outcome.phases  # what was measured before is kept


def test_a_trial_is_ended_at_its_time_limit(tmp_path):
    started = time.monotonic()
    outcome, _ = launch(tmp_path, timeout=3, seconds_per_step=60)
    assert outcome.status == "timeout"
    assert outcome.phase == "train"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(("who", "said"), [("worker", "from outside"), ("supervisor", "worker's supervisor")])
def test_a_killed_process_leaves_an_outcome_and_no_other_process(tmp_path, who, said):
    found = {}

    def kill(event):
        if isinstance(event, StepProgress) and not found:
            found.update(find_processes())
            os.kill(found[who], 9)

    request = build_toy_request(tmp_path, seconds_per_step=0.3)
    outcome = LocalLauncher().launch(request, tmp_path / "log", kill)
    assert outcome.status == "error"  # the kernel counted no OOM kill
    assert said in outcome.message
    assert (outcome.phase, outcome.step) == ("train", 1)
    assert outcome.details["last"]["loss"] == 1.0
    assert outcome.details["last"]["host_bytes"] > 1 << 20
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in found.values() if psutil.pid_exists(pid)], timeout=5)
    assert not alive


def find_processes() -> dict[str, int]:
    """Ids of the supervisor of this process, and of its worker."""
    supervisor = next(p for p in psutil.Process().children() if "harness.launchers.supervisor" in p.cmdline())
    return {"supervisor": supervisor.pid, "worker": supervisor.children()[0].pid}


def test_a_worker_that_cannot_start_leaves_an_outcome(tmp_path):
    request = dataclasses.replace(build_toy_request(tmp_path), places=None)
    outcome = LocalLauncher().launch(request, tmp_path / "log", lambda event: None)
    assert outcome.status == "error"
    assert "exit code 1" in outcome.message
    assert "names no places" in (tmp_path / "log").read_text()


def test_the_environment_of_a_worker_is_an_allow_list():
    given = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "s",
        "WANDB_API_KEY": "s",
        "HF_HOME": "/h",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    seen = build_worker_environment(given)
    assert {"PATH", "HF_HOME", "CUDA_VISIBLE_DEVICES"} <= set(seen)
    assert not {"AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY"} & set(seen)


def test_an_outcome_survives_json_and_nan_becomes_null():
    outcome = Outcome(
        status="ok",
        metrics={"a": float("nan"), "b": 1.5},
        phases={"train": Phase(seconds=2.0)},
        curve=({"step": 1.0},),
        message="x",
    )
    again = Outcome.from_event(json.loads(outcome.to_json()))
    assert again.metrics == {"a": None, "b": 1.5}
    assert again.phases == {"train": Phase(seconds=2.0)}
    assert again.curve == ({"step": 1.0},)


def test_the_worker_needs_an_event_pipe():
    done = subprocess.run([sys.executable, "-m", "harness.worker"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--events" in done.stderr

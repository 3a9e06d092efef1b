"""What plugins import keeps its place and its name (docs/architecture.md lists it)."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest

PUBLIC = {
    "methods.base": (
        *("Method", "TrainingConfig", "Setting", "TrainingJob", "StepEvent", "Example", "Text", "Limits", "Budget"),
        *("ModelFacts", "State", "Checkpoint", "Feedback", "Observer", "require"),
    ),
    "methods.knobs": ("knob",),
    "methods.errors": ("MethodError", "InvalidSettingError", "UnsupportedError", "DivergedError"),
    "methods.registry": ("build", "get"),
    "harness.contract": ("MethodContract",),
    "harness.tasks.splits": ("build",),
    "harness.tasks": ("Task", "TaskRequest"),
    "harness.errors": ("HarnessError", "DataError", "SpecError"),
    "harness.launchers.base": ("Launcher",),
    "harness.launchers.local": ("LocalLauncher",),
    "harness.launchers.interruption": ("Interruption",),
    "harness.events": ("PhaseEvent", "StageEvent", "StepProgress", "EvaluationProgress"),
    "harness.outcome": ("Outcome",),
    "harness.request": ("TrialRequest", "TaskRequest"),
    "harness.scoring.base": ("MetricPlugin",),
    "harness.metrics.base": ("MetricPlugin",),
    "reports.metrics": ("Metric", "METRICS", "PRIMARY"),
}
"""Module → names."""
FIELDS = {
    ("harness.tasks", "Task"): (
        *("name", "train", "validation", "test", "templates", "limits", "fingerprint", "unusable", "note", "left_out"),
    ),
    ("harness.request", "TaskRequest"): (
        *("name", "data", "test", "input_field", "target_fields", "template", "train_examples"),
        *("validation_examples", "test_examples", "split_seed", "allow_unusable"),
    ),
    ("harness.request", "TrialRequest"): (
        *("trial_id", "method", "settings", "seed", "model", "task", "fingerprint", "budget", "training", "decoding"),
        *("split", "device", "dtype", "preferences", "reward", "general_text", "metrics", "learning_curve"),
        *("checkpoint_every", "plugins", "on_oom", "price_per_hour", "save_models", "keep_checkpoints"),
        *("trust_remote_code", "places"),
    ),
    ("harness.outcome", "Outcome"): (
        *("status", "metrics", "phases", "scores", "curve", "learning_curve", "declared", "details", "done", "cut"),
        *("parameters", "phase", "step", "message", "started_at", "finished_at"),
    ),
    ("harness.events", "PhaseEvent"): ("name",),
    ("harness.events", "StageEvent"): ("name",),
    ("harness.events", "StepProgress"): (
        *("step", "progress", "loss", "tokens_per_second", "host_bytes", "device_bytes"),
    ),
    ("harness.events", "EvaluationProgress"): ("progress", "host_bytes"),
}
"""Dataclass → the fields that plugins read or set. More may come, with defaults; none of these may go."""
PARAMETERS = {
    ("methods.knobs", "knob"): ("default", "help", "source"),
    ("harness.tasks.splits", "build"): ("request", "splits", "templates", "limits"),
    ("harness.request", "TaskRequest.refuse"): ("self", "fields"),
    ("harness.request", "TrialRequest.to_json"): ("self",),
    ("harness.request", "TrialRequest.from_json"): ("text",),
    ("harness.outcome", "Outcome.to_json"): ("self",),
    ("harness.outcome", "Outcome.from_event"): ("event",),
    ("harness.launchers.base", "Launcher.__init__"): ("self", "timeout", "interruption"),
    ("harness.launchers.base", "Launcher.launch"): ("self", "request", "log", "on_event"),
    ("harness.launchers.local", "LocalLauncher.launch"): ("self", "request", "log", "on_event"),
    ("harness.launchers.interruption", "Interruption.fileno"): ("self",),
    ("harness.launchers.interruption", "Interruption.acknowledge"): ("self",),
}
"""Function → its parameters. More may come, with defaults."""


@pytest.mark.parametrize("module", PUBLIC)
def test_names_can_be_imported(module):
    found = importlib.import_module(module)
    assert not [name for name in PUBLIC[module] if not hasattr(found, name)]


def find(module: str, path: str):
    return attrgetter(path)(importlib.import_module(module))


@pytest.mark.parametrize(("module", "name"), FIELDS)
def test_dataclasses_keep_their_fields(module, name):
    fields = {field.name: field for field in dataclasses.fields(find(module, name))}
    assert [field for field in fields if field in FIELDS[module, name]] == list(FIELDS[module, name])
    added = [field for field in fields.values() if field.name not in FIELDS[module, name]]
    missing = dataclasses.MISSING
    assert not [field.name for field in added if field.default is missing and field.default_factory is missing]


@pytest.mark.parametrize(("module", "name"), PARAMETERS)
def test_functions_keep_their_parameters(module, name):
    known = PARAMETERS[module, name]
    parameters = inspect.signature(find(module, name)).parameters
    assert tuple(parameters)[: len(known)] == known
    assert all(parameters[added].default is not inspect.Parameter.empty for added in tuple(parameters)[len(known) :])


def test_launchers_may_ask_whether_the_run_was_interrupted():
    with find("harness.launchers.interruption", "Interruption")() as interruption:
        assert (interruption.asked, interruption.at_once) == (False, False)
        interruption.handle_signal()
        assert (interruption.asked, interruption.at_once) == (True, False)
        interruption.handle_signal()
        assert (interruption.asked, interruption.at_once) == (True, True)


def test_old_and_new_names_are_the_same_things():
    from harness.metrics.base import MetricPlugin
    from harness.scoring import base
    from reports.metrics import METRICS, Metric
    from reports.records import metrics

    assert MetricPlugin is base.MetricPlugin
    assert (Metric, METRICS) == (metrics.Metric, metrics.METRICS)


def test_the_page_lists_them():
    page = Path(__file__).resolve().parents[1].joinpath("docs", "architecture.md").read_text(encoding="utf-8")
    section = page.partition("\n## Public API\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    listed = {module.split("`")[1]: tuple(re.findall("`([^`]+)`", names)) for module, _, names in rows}
    assert listed == {module: names for module, names in PUBLIC.items() if module != "harness.metrics.base"}

"""What plugins import keeps its place and its name (docs/architecture.md lists it)."""

from __future__ import annotations

import importlib
import re
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
    "harness.errors": ("HarnessError", "DataError", "SpecError"),
    "harness.launchers.base": ("Launcher",),
    "harness.launchers.local": ("LocalLauncher",),
    "harness.scoring.base": ("MetricPlugin",),
    "harness.metrics.base": ("MetricPlugin",),
    "reports.metrics": ("Metric", "METRICS", "PRIMARY"),
}
"""Module → names."""


@pytest.mark.parametrize("module", PUBLIC)
def test_names_can_be_imported(module):
    found = importlib.import_module(module)
    assert not [name for name in PUBLIC[module] if not hasattr(found, name)]


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

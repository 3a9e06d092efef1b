"""Fixtures: runs into which faults are injected, a faulty method, and the counts of all faults, printed at the end."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from .rig import Figures, Run, install_plugin, restore_interrupt

_FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config):
    config.stash[_FIGURES] = Figures()
    restore_interrupt()


def pytest_sessionfinish(session):
    """Hand the figures of a process of pytest-xdist over to the one that prints them."""
    if hasattr(session.config, "workeroutput"):
        figures = session.config.stash[_FIGURES]
        session.config.workeroutput["faults"] = {**dataclasses.asdict(figures), "faults": dict(figures.faults)}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    told = getattr(node, "workeroutput", {}).get("faults")
    if told:
        node.config.stash[_FIGURES].add(Figures(**{**told, "faults": Counter(told["faults"])}))


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[_FIGURES]
    if figures.faults:
        terminalreporter.section("faults")
        terminalreporter.write("\n".join(figures.format_lines()) + "\n")


@pytest.fixture
def figures(request):
    """The session's counts, to which a test adds its own; the test's duration is added here."""
    started = time.monotonic()
    yield request.config.stash[_FIGURES]
    request.config.stash[_FIGURES].seconds += time.monotonic() - started


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> str:
    """The search path that installs the method `faulty`."""
    return install_plugin(tmp_path_factory.mktemp("faulty") / "site")


@pytest.fixture
def prepare(tmp_path, faulty, figures):
    """A function that prepares a run, by default of the toy model; no process of it may be left at the end."""
    runs: list[Run] = []

    def make(
        methods: str, *more: str, directory: Path | None = None, model: str = "toy", search: str = "", **variables: str
    ) -> Run:
        task = ("--task", "toy") if model == "toy" else ()
        path = os.pathsep.join(filter(None, [faulty, search]))
        directory = directory or tmp_path / f"run{len(runs)}"
        runs.append(Run(directory, "--model", model, *task, "--methods", methods, *more, search=path, **variables))
        return runs[-1]

    yield make
    for run in runs:
        left = run.find_leftovers()
        figures.left += len(left)
        for pid in run.find_processes():
            os.kill(pid, signal.SIGKILL)
        assert not left

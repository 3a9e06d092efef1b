"""The command line in the process of the tests: trials run here too, so that no process has to import anything anew.

A process of its own costs a second before a toy has taken a step, and eight before a model has. Tests whose subject is
the process (a signal, a kill, an exit code of a worker, what its environment holds) start real ones.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said, under the names that `subprocess` gives them."""

    returncode: int
    stdout: str
    stderr: str


class Events(io.StringIO):
    """The worker's end of the event pipe: hands each event over as the launcher would read it."""

    def __init__(self, on_event):
        super().__init__()
        self._on_event = on_event

    def write(self, text):
        from harness.launchers.protocol import read_event

        event = read_event(text.encode())
        assert event is not None, text
        self._on_event(event)
        return len(text)


def launch(self, request, log, on_event):
    """Run a trial as `LocalLauncher.launch` does, but here; what it prints goes to its log."""
    from harness.outcome import Outcome
    from harness.request import TrialRequest
    from harness.worker.stop_signal import StopSignal
    from harness.worker.trial import Worker

    log.parent.mkdir(parents=True, exist_ok=True)
    out, err = contextlib.redirect_stdout, contextlib.redirect_stderr
    with log.open("a", encoding="utf-8") as stream, out(stream), err(stream):
        outcome = Worker(TrialRequest.from_json(request.to_json()), Events(on_event), StopSignal()).run()
    return Outcome.from_event(json.loads(outcome.to_json()))


def run(*arguments: object, cwd: Path) -> Done:
    """Run `python -m harness` with these arguments in a folder, in this process."""
    from harness.cli import main

    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("harness.launchers.local.LocalLauncher.launch", launch),
        mock.patch("harness.worker.trial.read_process_age", return_value=0.0),  # that of these tests is no trial's
        mock.patch.object(sys, "argv", ["harness", *words]),
        _modules_of(cwd),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(words)
        except SystemExit as end:  # argparse has said it in its own words
            code = end.code
    return Done(int(code or 0), out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _modules_of(folder: Path) -> Iterator[None]:
    """A context after which the modules that lie in a folder are forgotten, and so is that they were looked for."""
    before, path = set(sys.modules), list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{os.fspath(folder)}{os.sep}"):
                del sys.modules[name]

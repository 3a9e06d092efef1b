"""The interface of a launcher: it takes the request of one trial and returns the outcome that the worker sent back.

The launcher is not part of a trial's id. This module imports nothing heavy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from harness.events import Event
from harness.launchers.interruption import Interruption
from harness.outcome import Outcome
from harness.request import TrialRequest


class Launcher(ABC):
    """Starts a worker for each trial, in a process of its own."""

    name: ClassVar[str]
    """What users type after `--launcher`."""
    summary: ClassVar[str]
    """One line for `list launchers`."""

    def __init__(self, timeout: float | None = None, interruption: Interruption | None = None) -> None:
        """Take the time limit of a trial in seconds, and the object that says whether the user interrupted the run.

        Raises `HarnessError` with one sentence if trials cannot be launched here; it is called before any trial runs.
        """
        self.timeout = timeout
        self.interruption = interruption

    @abstractmethod
    def launch(self, request: TrialRequest, log: Path, on_event: Callable[[Event], None]) -> Outcome:
        """Run one trial to its end and return its outcome, even if the worker dies.

        `request.to_json()` is what `python -m harness.worker` reads; its paths lie in the run directory. What the
        worker prints is added to `log`. `on_event` gets every event (`harness.events`) while the trial runs. At the
        time limit the status is `timeout`, after an interruption `interrupted`. When the call returns, no process of
        the trial is left.
        """

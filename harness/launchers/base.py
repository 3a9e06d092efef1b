"""What a launcher is: it takes the request of one trial and returns the outcome that the worker sent back.

Where a trial runs is no part of what it is: two launchers give a trial the same id. This module imports nothing heavy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from harness.launchers.interruption import Interruption
from harness.outcome import Outcome
from harness.request import TrialRequest


class Launcher(ABC):
    """Starts workers, one for each trial, in a process of its own each."""

    name: ClassVar[str]
    """What users type."""
    summary: ClassVar[str]
    """One line for `list launchers`."""

    def __init__(self, timeout: float | None = None, interruption: Interruption | None = None) -> None:
        """Take `timeout`, seconds after which a trial is ended, and what tells that the run was asked to end.

        Raises `HarnessError` with one sentence where trials cannot be launched here; nothing has run by then.
        """
        self.timeout = timeout
        self.interruption = interruption

    @abstractmethod
    def launch(self, request: TrialRequest, log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Run one trial to its end and return its outcome, whatever becomes of the worker.

        `request.to_json()` is what `python -m harness.worker` reads; its paths lie in the run directory. What the
        worker prints is added to `log`. `on_event` is told every event (`harness.launchers.protocol`) while it runs.
        A time limit ends as `timeout`, an interruption as `interrupted`, and nothing of the trial outlives the call.
        """

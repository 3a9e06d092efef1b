"""How a SIGTERM ends a trial: at once, or after the current step where that step still writes a checkpoint."""

from __future__ import annotations

import signal


class Interrupted(BaseException):
    """The trial was asked to end."""


class StopSignal:
    """Handles SIGTERM.

    Later signals are ignored: a scheduler signals every process of a job, and the parent passes its own signal on too.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether the trial was asked to end."""
        self.deferred = False
        """Whether the code that is running will look at `asked` by itself."""

    def __call__(self, *_: object) -> None:
        """Handle the signal."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.asked = True
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` if the trial was asked to end and the end is not deferred.

        The worker calls this now and then, because an exception that a signal handler raises inside a callback of C
        code can be lost.
        """
        if self.asked and not self.deferred:
            raise Interrupted

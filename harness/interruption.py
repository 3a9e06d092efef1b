"""How a run is asked to stop: Ctrl-C, SIGTERM (schedulers send it) or SIGHUP, once to end in order, twice to stop now.

The first signal only leaves word, so that whoever is at work comes to a clean end; whoever waits is woken through a
descriptor. The second raises `KeyboardInterrupt`, and what comes after it is not heard.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """A context in which signals ask for an end instead of causing one."""

    def __init__(self) -> None:
        self.count = 0
        self._woken, self._waker = os.pipe()
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """Whether a second one has."""
        return self.count > 1

    def fileno(self) -> int:
        """Readable from the first signal on; for `select`."""
        return self._woken

    def ask(self, number: int = signal.SIGINT, _: FrameType | None = None) -> None:
        """What a signal does. Raises `KeyboardInterrupt` the second time."""
        self.count += 1
        if self.count == 1:
            os.write(self._waker, b"!")
        elif self.count == 2:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            # What is ignored stays so: `nohup` means it.
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self.ask) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            with contextlib.suppress(TypeError):  # a handler that was not set from Python cannot be set again
                # A process that was asked to end is about to; one Ctrl-C too many must not change its exit code.
                signal.signal(number, signal.SIG_IGN if self.asked else handler)
        for end in (self._woken, self._waker):
            os.close(end)

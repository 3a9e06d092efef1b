"""Signals that interrupt a run: Ctrl-C (SIGINT), SIGTERM (schedulers send it) and SIGHUP.

The first signal asks the run to end in order, the second to stop at once. A signal only sets a flag and makes a file
descriptor readable; it raises no exception, so that a file that is being written is completed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """A context in which signals are counted instead of ending the process."""

    def __init__(self) -> None:
        self.count = 0
        self._woken, self._waker = os.pipe()
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal came: the run should end in order."""
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """Whether a second signal came: the run should stop at once."""
        return self.count > 1

    def fileno(self) -> int:
        """A descriptor for `select`, readable after a signal until `acknowledge` is called."""
        return self._woken

    def handle_signal(self, number: int = signal.SIGINT, _: FrameType | None = None) -> None:
        """Count the signal. An exception here could lose a record that is being written."""
        self.count += 1
        os.write(self._waker, b"!")

    def acknowledge(self) -> None:
        """Make the descriptor unreadable until the next signal."""
        os.read(self._woken, 1 << 10)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # only the main thread may set handlers
            # Ignored signals stay ignored: `nohup` relies on it.
            handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self.handle_signal) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            with contextlib.suppress(TypeError):  # a handler that was not set from Python cannot be restored
                # After an interruption the process is about to end: a further Ctrl-C must not change its exit code.
                signal.signal(number, signal.SIG_IGN if self.asked else handler)
        for end in (self._woken, self._waker):
            os.close(end)


@contextlib.contextmanager
def turn_signals_into_keyboard_interrupt() -> Iterator[None]:
    """A context in which every signal raises `KeyboardInterrupt`, as Ctrl-C does; for work that may be lost."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        handled = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
        before = {number: signal.signal(number, signal.default_int_handler) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is signal.default_int_handler:
                signal.signal(number, handler)

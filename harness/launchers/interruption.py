"""How a run is asked to stop: Ctrl-C, SIGTERM (schedulers send it) or SIGHUP, once to end in order, twice to stop now.

A signal only leaves word and wakes whoever waits, through a descriptor. It raises nothing, so that whatever is being
written gets written.
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
        """Readable when a signal has come that was not heard yet; for `select`."""
        return self._woken

    def ask(self, number: int = signal.SIGINT, _: FrameType | None = None) -> None:
        """What a signal does: leave word. An exception could lose a record that is being written."""
        self.count += 1
        os.write(self._waker, b"!")

    def hear(self) -> None:
        """Take note, so that `select` wakes again only for the next signal."""
        os.read(self._woken, 1 << 10)

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


@contextlib.contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """A context in which every signal raises `KeyboardInterrupt`, as Ctrl-C does; for work that can lose nothing."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
        before = {number: signal.signal(number, signal.default_int_handler) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is signal.default_int_handler:
                signal.signal(number, handler)

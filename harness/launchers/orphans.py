"""Finds and ends processes whose starter is gone; on Linux, since others have no /proc to ask."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

LAST_SECONDS = 10.0
"""How long killed processes may take to be gone; one that hangs in a driver longer is left behind."""


def children() -> list[int]:
    """Ids of this process's children, zombies and adopted ones too."""
    me = str(os.getpid())
    return [pid for pid, text in _each("stat") if text.rpartition(b")")[2].split()[1:2] == [me.encode()]]


def bearing(mark: str) -> list[int]:
    """Ids of the processes that were started with `mark`, a `NAME=VALUE`, in their environment."""
    return [pid for pid, text in _each("environ") if mark.encode() in text.split(b"\0")]


def end_all(find: Callable[[], list[int]]) -> None:
    """Kill all that `find` finds, and reap those that are children, until it finds none; not for ever."""
    deadline = time.monotonic() + LAST_SECONDS
    while (found := find()) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _each(file: str) -> list[tuple[int, bytes]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((int(folder.name), (folder / file).read_bytes()))
    return found

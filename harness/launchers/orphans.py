"""Finds and kills processes whose parent has ended. Works on Linux, where `/proc` lists all processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

KILL_SECONDS = 10.0
"""How long to wait for killed processes to disappear; one that hangs in a driver for longer is left behind."""


def find_children() -> list[int]:
    """Ids of this process's children, including zombies and adopted orphans."""
    me = str(os.getpid())
    return [pid for pid, text in _read_all("stat") if text.rpartition(b")")[2].split()[1:2] == [me.encode()]]


def find_marked(mark: str) -> list[int]:
    """Ids of the processes that have `mark`, a `NAME=VALUE`, in their environment."""
    return [pid for pid, text in _read_all("environ") if mark.encode() in text.split(b"\0")]


def kill_all(find: Callable[[], list[int]]) -> None:
    """Kill all processes that `find` returns, and reap children, until there are none or `KILL_SECONDS` have passed."""
    deadline = time.monotonic() + KILL_SECONDS
    while (found := find()) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _read_all(file: str) -> list[tuple[int, bytes]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((int(folder.name), (folder / file).read_bytes()))
    return found

"""A method with faults like those of real libraries, users' code and machines. It does not need torch."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from methods.base import TrainingJob
from methods.toy import Toy, ToyConfig

FLOOD_BYTES = 100 << 20
MOST_BYTES = 4 << 30
"""Upper bound for the fault `memory`."""


@dataclass(frozen=True, kw_only=True)
class FaultyConfig(ToyConfig):
    """Knobs of the fault."""

    fault: Literal["none", "flood", "fork", "hang", "exit", "garbage", "lies", "babble", "memory"] = "none"
    once: str = ""
    """A file that the first trial creates; if it exists, there is no fault. Empty for a fault every time."""


class Faulty(Toy):
    """Commits the `fault` in training, then trains like the toy if it still can."""

    name = "faulty"
    summary = "misbehaves, for tests of the harness"
    Config = FaultyConfig

    def train(self, job: TrainingJob) -> None:
        once = Path(self.config.once) if self.config.once else None
        if self.config.fault != "none" and not (once and once.exists()):
            if once:
                once.touch()
            globals()[self.config.fault]()
        super().train(job)


def flood() -> None:
    """Write 100 MB, half of it to each stream, in lines and in one line without an end."""
    lines, endless = b"a line of output that nobody reads\n" * 30_000, b"x" * (1 << 20)
    for written in range(0, FLOOD_BYTES, len(lines) + len(endless)):
        os.write(1, lines)
        os.write(2, endless if written % 3 else lines)


def fork() -> None:
    """Start a child, one in a session of its own, and a daemon whose parents are gone and that ignores SIGTERM."""
    subprocess.Popen(["sleep", "1000"])
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)  # it keeps the event pipe open, too
        os._exit(0)


def hang() -> None:
    """Hang in C code that holds the interpreter's lock, with SIGTERM blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    libc = ctypes.PyDLL(None)
    while True:
        libc.sleep(1000)


def exit() -> None:
    """End with exit code 0 and no outcome."""
    os._exit(0)


def garbage() -> None:
    """Send bytes that are no events, then die."""
    noise = random.Random(0).randbytes(1 << 16)
    os.write(
        _find_event_pipe(),
        noise + b'\n{"event": "step", "st\n[1, 2]\n"outcome"\n{"event": 7}\n{"event": "outcome", "sta',
    )
    os._exit(3)


def lies() -> None:
    """Send events and an outcome whose fields are of the wrong types or not there, then die."""
    for text in (
        '{"event": "phase"}',
        '{"event": "stage"}',
        '{"event": "phase", "name": {"a": 1}}',
        '{"event": "step"}',
        '{"event": "step", "step": "x", "progress": "y", "loss": [], "host_bytes": "z"}',
        '{"event": "evaluated", "progress": null}',
        '{"event": "never heard of", "progress": 0.5}',
        '{"event": "outcome", "status": 5, "metrics": [1], "phases": {}, "step": "x", "curve": 3}',
    ):
        os.write(_find_event_pipe(), text.encode() + b"\n")
    os._exit(3)


def babble() -> None:
    """Send 200 MB through the event pipe in one endless line."""
    for _ in range(200):
        os.write(_find_event_pipe(), b"x" * (1 << 20))


def memory() -> None:
    """Take memory, and use it, until there is none."""
    held = []
    while len(held) << 24 < MOST_BYTES:
        held.append(b"x" * (1 << 24))
    raise RuntimeError("nothing limits the memory of this worker")


def _find_event_pipe() -> int:
    return int(sys.argv[sys.argv.index("--events") + 1])

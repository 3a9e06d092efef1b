"""Supervises one worker: a process between it and the parent, so that no process of a trial outlives the trial.

    python -m harness.launchers.supervisor LIFELINE LOG COMMAND…

The worker inherits standard input. The lifeline is a pipe that only the parent holds open. `t` on it asks the worker's
process group to end (SIGTERM); `k`, or the end of the pipe, which comes when the parent dies, kills the group. When the
worker ends, every process that it started is killed, even one that left its process group: on Linux the supervisor
adopts orphans. The supervisor writes the worker's output to the log, without secrets and up to a limit. On standard
output it writes `{"pid": N}` when the worker has started and `{"code": N, "kills": [before, after]}` when it has ended,
one line each: the exit code as `subprocess` gives it, and the kernel's counts of out-of-memory kills.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

from harness.launchers.interruption import SIGNALS
from harness.launchers.log import Log
from harness.launchers.oom_evidence import count_oom_kills
from harness.launchers.orphans import find_children, kill_all
from harness.launchers.variables import build_worker_environment
from reports.records.secrets import Redactor

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


class Supervisor:
    """Runs a command in a session of its own until it ends or the parent stops it."""

    def __init__(self, lifeline: int, log: Log) -> None:
        self.lifeline = lifeline
        self.log = log
        self._pid = os.getpid()
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def run(self, command: list[str], events: int) -> None:
        """Start the command, which writes to the descriptor `events`, and return when no process of it is left."""
        if self._libc is not None:
            self._libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in SIGNALS:  # schedulers signal every process, but the parent decides what happens
            signal.signal(number, signal.SIG_IGN)
        before = count_oom_kills()
        woken, waker = os.pipe()
        for end in (woken, waker):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        worker = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[events],
            env=build_worker_environment(os.environ),
            start_new_session=True,
            preexec_fn=self._die_with_supervisor,
        )
        os.close(events)  # so that the pipe closes when the worker ends
        os.close(0)
        _report({"pid": worker.pid})
        assert worker.stdout is not None
        os.set_blocking(worker.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.lifeline, woken, worker.stdout.fileno()):
                selector.register(descriptor, selectors.EVENT_READ)
            while worker.poll() is None:
                for key, _ in selector.select():
                    if key.fd == self.lifeline:
                        command_byte = os.read(self.lifeline, 1)
                        self._obey(command_byte, worker.pid)
                        if not command_byte:  # a closed pipe stays readable
                            selector.unregister(self.lifeline)
                    elif key.fd == woken:
                        os.read(woken, 1 << 10)
                    elif self._copy_output(worker.stdout.fileno()) == 0:
                        selector.unregister(worker.stdout.fileno())
        _kill_group(worker.pid)
        kill_all(find_children)
        while self._copy_output(worker.stdout.fileno()):  # the rest of the pipe
            pass
        self.log.close()
        _report({"code": worker.returncode, "kills": [before, count_oom_kills()]})

    def _die_with_supervisor(self) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if self._libc is not None:
            self._libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._pid:  # the supervisor died before the request above was made
                os._exit(1)

    def _obey(self, command_byte: bytes, pid: int) -> None:
        if command_byte == b"t":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
        else:  # `k`, or the parent is gone
            _kill_group(pid)

    def _copy_output(self, descriptor: int) -> int | None:
        """Copy available output to the log; return its bytes, 0 at the end of output, `None` if none is available."""
        try:
            chunk = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return None
        self.log.write(chunk)
        return len(chunk)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _report(fact: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone
        os.write(1, json.dumps(fact).encode() + b"\n")


def main() -> None:
    """Supervise the command of the command line; the number after `--events` is the descriptor of its event pipe."""
    lifeline, log, *command = sys.argv[1:]
    events = int(command[command.index("--events") + 1])
    Supervisor(int(lifeline), Log(Path(log), Redactor(os.environ))).run(command, events)


if __name__ == "__main__":
    main()

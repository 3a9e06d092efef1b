"""Keeps one worker: stands between it and the parent, so that nothing of a trial outlives its end or its parent.

    python -m harness.launchers.supervisor LIFELINE LOG COMMAND…

Standard input is the worker's. The lifeline is a pipe that only the parent holds open: `t` on it asks the worker's
group to end (SIGTERM), `k` or its end, which comes when the parent dies, however that is, kills. Whatever the worker
started is killed when it ends, also what has left its process group: on Linux the keeper adopts orphans. The worker's
output goes through the keeper to the log, without secrets and not without limit. On standard output the keeper tells
`{"pid": N}` and in the end `{"code": N, "kills": [before, after]}`, one line each; the code is that of `subprocess`.
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
from harness.launchers.local import worker_environment
from harness.launchers.log import Log
from harness.launchers.oom_evidence import oom_kills
from harness.launchers.orphans import children, end_all
from reports.records.secrets import Redactor

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


class Keeper:
    """Runs a command in a session of its own until it ends or has to."""

    def __init__(self, lifeline: int, log: Log) -> None:
        self.lifeline = lifeline
        self.log = log
        self._pid = os.getpid()
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def run(self, command: list[str], events: int) -> None:
        """Start the command, which writes to the descriptor `events`, and stay until nothing of it is left."""
        if self._libc is not None:
            self._libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in SIGNALS:  # schedulers signal every process; the parent says what is to be done
            signal.signal(number, signal.SIG_IGN)
        before = oom_kills()
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
            env=worker_environment(os.environ),
            start_new_session=True,
            preexec_fn=self._die_with_keeper,
        )
        os.close(events)  # the parent takes the end of this pipe for the end of the worker
        os.close(0)
        _tell({"pid": worker.pid})
        assert worker.stdout is not None
        os.set_blocking(worker.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.lifeline, woken, worker.stdout.fileno()):
                selector.register(descriptor, selectors.EVENT_READ)
            while worker.poll() is None:
                for key, _ in selector.select():
                    if key.fd == self.lifeline:
                        word = os.read(self.lifeline, 1)
                        self._obey(word, worker.pid)
                        if not word:  # it stays readable
                            selector.unregister(self.lifeline)
                    elif key.fd == woken:
                        os.read(woken, 1 << 10)
                    elif self._pump(worker.stdout.fileno()) == 0:
                        selector.unregister(worker.stdout.fileno())
        _kill_group(worker.pid)
        end_all(children)
        while self._pump(worker.stdout.fileno()):  # what is still in the pipe
            pass
        self.log.close()
        _tell({"code": worker.returncode, "kills": [before, oom_kills()]})

    def _die_with_keeper(self) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if self._libc is not None:
            self._libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._pid:  # it died before it could be asked for
                os._exit(1)

    def _obey(self, word: bytes, pid: int) -> None:
        if word == b"t":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
        else:  # `k`, or the parent is gone
            _kill_group(pid)

    def _pump(self, descriptor: int) -> int | None:
        """Log a piece of what the worker has written; its bytes, 0 at the end, `None` where nothing waits."""
        try:
            chunk = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return None
        self.log.write(chunk)
        return len(chunk)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _tell(word: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone
        os.write(1, json.dumps(word).encode() + b"\n")


def main() -> None:
    """Keep the command of the command line; the descriptor after `--events` is the worker's event pipe."""
    lifeline, log, *command = sys.argv[1:]
    events = int(command[command.index("--events") + 1])
    Keeper(int(lifeline), Log(Path(log), Redactor(os.environ))).run(command, events)


if __name__ == "__main__":
    main()

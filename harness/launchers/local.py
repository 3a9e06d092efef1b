"""Runs a trial in a fresh Python process on this machine (POSIX), and leaves no process of it behind.

The parent blocks on the event pipe and uses no CPU while the trial runs. A time limit or an interruption asks the
worker to end, which may then bring its measurements in order, and kills all that it started soon after.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.launchers.base import Launcher
from harness.launchers.interruption import Interruption
from harness.launchers.oom_evidence import explain_kill
from harness.launchers.orphans import bearing, end_all
from harness.launchers.protocol import read_event
from harness.outcome import INTERRUPTED, Outcome
from harness.request import TrialRequest
from reports.errors import RecordError
from reports.records.secrets import is_secret

GRACE_SECONDS = 5.0
"""Between asking a worker's group to end and killing it."""
INTERRUPTION_GRACE_SECONDS = 30.0
"""The same after an interruption: time for the step under way and a checkpoint."""
KEEPER_SECONDS = 20.0
"""How long the keeper may take to end all that a worker started."""
LONGEST_EVENT = 4 << 20
"""A line of more bytes is no event, and is not held in memory; an outcome has some thousands."""
LAST = ("loss", "tokens_per_second", "host_bytes", "device_bytes")
"""Of a step event, what the record of a worker that died keeps as its last measurements."""

ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "PYTHONHASHSEED",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that a worker inherits; besides those that begin with one of `PREFIXES`."""
PREFIXES = (
    "HF_",
    "HARNESS_",
    "CUDA_",
    "NVIDIA_",
    "TORCH",
    "PYTORCH_",
    "OMP_",
    "MKL_",
    "XDG_",
    "BNB_",
    "COVERAGE_",
)
MARK = "HARNESS_KEPT"
"""Variable by which all that a trial has started is known where its keeper was killed."""
ADDED = {"TOKENIZERS_PARALLELISM": "false", "PYTHONSAFEPATH": "1"}
"""With a safe path a file of the working directory that is called torch.py is never taken for the library.

Making malloc return memory sooner would tell methods apart by resident memory, and halves the speed of training."""


class LocalLauncher(Launcher):
    """Launches workers as child processes, each behind a keeper (`harness.launchers.supervisor`)."""

    name = "local"
    summary = "on this machine, one trial after another, each in a fresh process"

    def launch(self, request: TrialRequest, log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Run one trial to its end and return its outcome, whatever becomes of the worker.

        `on_event` sees every event. An interruption is passed on to the worker, which may bring its outcome in order;
        a second one ends it at once. What the worker started is gone in any case.
        """
        started = _now()
        kept = _Kept(log, request)
        watch = _Watch(self.timeout, self.interruption)
        try:
            for event in kept.events(watch):
                if event["event"] == "outcome":
                    watch.end_with(event)
                    break  # what the worker forked may hold the pipe open; there is nothing more to hear
                watch.see(event)
                on_event(event)
            if not watch.over():  # an outcome, or a closed pipe: the worker is about to end by itself
                kept.finish(GRACE_SECONDS)
        finally:
            kept.kill()
        outcome = watch.outcome
        if outcome is None:
            status, message = watch.ending or kept.death()
            return Outcome(status=status, message=message, started_at=started, finished_at=_now(), **watch.last)
        if watch.ending is None or (watch.ending[0] == "interrupted" and outcome.status != "interrupted"):
            return outcome  # a trial that came to its own end before it heard of the interruption counts
        return dataclasses.replace(outcome, status=watch.ending[0], message=watch.ending[1])


class _Watch:
    """What is known of a worker while it runs, and when it has to end."""

    def __init__(self, timeout: float | None, interruption: Interruption | None) -> None:
        self.outcome: Outcome | None = None
        self.ending: tuple[Any, str] | None = None
        """Status and sentence where they are not the worker's: this side ended it, or its outcome is none."""
        self.last: dict[str, Any] = {"phase": "start", "step": None, "details": {}}
        self.interruption = interruption
        self.timeout = timeout
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def see(self, event: Mapping[str, Any]) -> None:
        """Remember where the worker is and what it measured last."""
        if event["event"] == "phase":
            self.last["phase"] = event.get("name")
        elif event["event"] == "step":
            self.last["step"] = event.get("step")
            self.last["details"] = {"last": {name: event.get(name) for name in LAST if event.get(name) is not None}}

    def end_with(self, event: Mapping[str, Any]) -> None:
        """Take in the outcome; one that is none is an error, unless the ending was this side's."""
        try:
            self.outcome = Outcome.from_event(event)
        except RecordError as error:
            self.ending = self.ending or ("error", f"the worker's outcome is not what it should be: {error}")

    def left(self) -> float | None:
        """Seconds until something has to happen; `None` for never. `select` takes some weeks at most."""
        return None if self.deadline is None else min(max(0.0, self.deadline - time.monotonic()), 86_400.0)

    def due(self) -> bool:
        """Whether the worker has to be asked to end now; the first call that says so sets the ending and the grace."""
        if self.ending is None:
            if self.interruption is not None and self.interruption.asked:
                self.ending = "interrupted", INTERRUPTED
                self.deadline = time.monotonic() + INTERRUPTION_GRACE_SECONDS
                return True
            if self.left() == 0:
                self.ending = "timeout", f"passed the time limit of {self.timeout:g} s"
                self.deadline = time.monotonic() + GRACE_SECONDS
                return True
        return False

    def over(self) -> bool:
        """Whether the grace has passed, too, or was cut short."""
        hurried = self.interruption is not None and self.interruption.at_once
        return self.ending is not None and (hurried or self.left() == 0)


class _Kept:
    """A keeper with its worker, seen from the parent."""

    def __init__(self, log: Path, request: TrialRequest) -> None:
        self._events, events = os.pipe()
        lifeline, self._lifeline = os.pipe()
        mark, self._words = uuid.uuid4().hex, b""
        self._mark = f"{MARK}={mark}"
        command = [sys.executable, "-m", "harness.worker", "--events", str(events)]
        with log.open("ab") as errors:
            errors.write(f"--- {_now()}\n".encode())
            errors.flush()
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "harness.launchers.supervisor", str(lifeline), str(log), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=[events, lifeline],
                env={**os.environ, **worker_environment(os.environ), MARK: mark},  # the log knows secrets by it
                start_new_session=True,
            )
        os.close(events)
        os.close(lifeline)
        assert self._keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._keeper.stdin:  # what died at once is told by its exit code
            self._keeper.stdin.write(request.to_json().encode())

    def events(self, watch: _Watch) -> Iterator[dict[str, Any]]:
        """Yield events until the pipe closes or the time that `watch` gives is over; asks the worker to end when due.

        Lines that are no events are left out. The keeper's end is an end, too: without it, what the worker forked may
        live on and hold the pipe open.
        """
        assert self._keeper.stdout is not None
        pending, words = b"", self._keeper.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._events, words):
                selector.register(descriptor, selectors.EVENT_READ)
            if watch.interruption is not None:
                selector.register(watch.interruption.fileno(), selectors.EVENT_READ)
            while not watch.over():
                ready = {key.fd for key, _ in selector.select(watch.left())}
                if watch.interruption is not None and watch.interruption.fileno() in ready:
                    watch.interruption.hear()
                if watch.due():
                    self._say(b"t")
                said = os.read(words, 1 << 12) if words in ready else None
                self._words += said or b""
                if self._events in ready:
                    chunk = os.read(self._events, 1 << 16)  # all that a pipe holds
                    if not chunk:
                        return
                    *lines, pending = (pending + chunk).split(b"\n")
                    yield from filter(None, map(read_event, lines))
                    if len(pending) > LONGEST_EVENT:
                        pending = b""
                if said == b"":
                    return

    def finish(self, seconds: float) -> None:
        """Let the worker end by itself for so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(seconds)

    def kill(self) -> None:
        """End the worker and all that it started, whatever state they are in."""
        self._say(b"k")
        os.close(self._lifeline)
        os.close(self._events)
        try:
            self._keeper.wait(KEEPER_SECONDS)
        except subprocess.TimeoutExpired:  # something hangs in the kernel; the keeper's death takes the worker along
            self._keeper.kill()
            self._keeper.wait()
        assert self._keeper.stdout is not None
        with self._keeper.stdout as stream:
            self._told: dict[str, Any] = {}
            for line in (self._words + stream.read()).splitlines():
                with contextlib.suppress(ValueError):
                    self._told |= json.loads(line)
        if "code" not in self._told:  # the keeper itself was killed, and could end nobody
            if "pid" in self._told:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._told["pid"], signal.SIGKILL)
            end_all(lambda: bearing(self._mark))

    def death(self) -> tuple[Any, str]:
        """Status and sentence for a worker that ended without an outcome."""
        code = self._told.get("code")
        if code is None:
            return "error", f"the keeper of the worker ended with exit code {self._keeper.returncode}; see the log"
        if code == -signal.SIGKILL:
            status, sentence = explain_kill(*self._told["kills"])
            return status, f"{sentence}; see the log"
        if code < 0:
            return "error", f"the worker was ended by {_signal_name(-code)}; see the log"
        return "error", f"the worker ended with exit code {code} and no outcome; see the log"

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._lifeline, word)


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a worker may see, and those that make its memory figures comparable."""
    names = (key for key in environment if key in ENVIRONMENT or (key.startswith(PREFIXES) and not is_secret(key)))
    allowed = {key: environment[key] for key in names}
    # The worker must find the same packages as its parent, also where the parent runs from a checkout.
    paths = [str(Path(__file__).resolve().parents[2]), environment.get("PYTHONPATH", "")]
    return {**allowed, **ADDED, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

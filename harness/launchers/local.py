"""Runs a trial in a fresh Python process on this machine (POSIX), and leaves no process of it behind.

The parent blocks on the event pipe and uses no CPU while the trial runs. At the time limit, or after an interruption,
it asks the worker to end. The worker may then save its measurements; soon after, everything that it started is killed.
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
from pathlib import Path
from typing import Any

from harness.events import Event, PhaseEvent, StepProgress
from harness.launchers.base import Launcher
from harness.launchers.interruption import Interruption
from harness.launchers.oom_evidence import explain_kill
from harness.launchers.orphans import find_marked, kill_all
from harness.launchers.protocol import OutcomeLine, read_event
from harness.launchers.variables import build_worker_environment
from harness.outcome import INTERRUPTED, Outcome, format_now
from harness.request import TrialRequest
from reports.errors import RecordError
from reports.records.details import LastMeasurements, write_detail

GRACE_SECONDS = 5.0
"""How long after asking the worker to end its processes are killed."""
INTERRUPTION_GRACE_SECONDS = 30.0
"""The same after an interruption: time to finish the current step and write a checkpoint."""
SUPERVISOR_SECONDS = 20.0
"""How long the supervisor may take to end every process that the worker started."""
LONGEST_EVENT = 4 << 20
"""Lines of more bytes are ignored and not kept in memory; an outcome has a few thousand."""
MARK = "HARNESS_TRIAL_MARK"
"""Variable that all processes of a trial inherit, so that they can be found after their supervisor was killed."""


class LocalLauncher(Launcher):
    """Starts workers as child processes, each under a supervisor (`harness.launchers.supervisor`)."""

    name = "local"
    summary = "on this machine, one trial after another, each in a fresh process"

    def launch(self, request: TrialRequest, log: Path, on_event: Callable[[Event], None]) -> Outcome:
        """Run one trial to its end and return its outcome, even if the worker dies.

        `on_event` gets every event. The first interruption asks the worker to end, which may still send an outcome;
        the second kills it at once. No process that the worker started survives the call.
        """
        started = format_now()
        worker = _SupervisedWorker(log, request)
        state = _WorkerState(self.timeout, self.interruption)
        try:
            for event in worker.read_events(state):
                if isinstance(event, OutcomeLine):
                    state.take_outcome(event)
                    break  # processes that the worker forked may keep the pipe open, but the outcome is the last event
                state.remember(event)
                on_event(event)
            if not state.is_over():  # after an outcome or a closed pipe the worker ends by itself
                worker.wait(GRACE_SECONDS)
        finally:
            worker.kill()
        outcome = state.outcome
        if outcome is None:
            status, message = state.ending or worker.explain_death()
            return Outcome(
                status=status,
                message=message,
                phase=state.phase,
                step=state.last_step.step if state.last_step else None,
                details=state.describe_last(),
                started_at=started,
                finished_at=format_now(),
            )
        if state.ending is None or (state.ending[0] == "interrupted" and outcome.status != "interrupted"):
            return outcome  # the trial ended before the interruption reached it
        return dataclasses.replace(outcome, status=state.ending[0], message=state.ending[1])


class _WorkerState:
    """What the parent knows about a running worker, and when the worker must end."""

    def __init__(self, timeout: float | None, interruption: Interruption | None) -> None:
        self.outcome: Outcome | None = None
        self.ending: tuple[Any, str] | None = None
        """Status and message where the parent decides them: it ended the worker, or could not read the outcome."""
        self.phase = "start"
        self.last_step: StepProgress | None = None
        self.interruption = interruption
        self.timeout = timeout
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def remember(self, event: Event) -> None:
        """Remember the current phase and the last measurements."""
        if isinstance(event, PhaseEvent):
            self.phase = event.name
        elif isinstance(event, StepProgress):
            self.last_step = event

    def describe_last(self) -> Mapping[str, Any]:
        """The last measurements of a worker that died, as details of its record."""
        step = self.last_step
        if step is None:
            return {}
        last = LastMeasurements(
            loss=step.loss,
            tokens_per_second=step.tokens_per_second,
            host_bytes=step.host_bytes,
            device_bytes=step.device_bytes,
        )
        return {"last": write_detail(last, known_only=True)}

    def take_outcome(self, line: OutcomeLine) -> None:
        """Read the outcome. One that cannot be read is an error, unless the parent had already ended the worker."""
        try:
            self.outcome = line.read()
        except RecordError as error:
            self.ending = self.ending or ("error", f"the worker's outcome is not valid: {error}")

    def get_seconds_left(self) -> float | None:
        """Seconds until the deadline, one day at most (`select` has a limit); `None` if there is no deadline."""
        return None if self.deadline is None else min(max(0.0, self.deadline - time.monotonic()), 86_400.0)

    def must_end_now(self) -> bool:
        """Whether to ask the worker to end now. True only once: that call sets the ending and a new deadline."""
        if self.ending is None:
            if self.interruption is not None and self.interruption.asked:
                self.ending = "interrupted", INTERRUPTED
                self.deadline = time.monotonic() + INTERRUPTION_GRACE_SECONDS
                return True
            if self.get_seconds_left() == 0:
                self.ending = "timeout", f"passed the time limit of {self.timeout:g} s"
                self.deadline = time.monotonic() + GRACE_SECONDS
                return True
        return False

    def is_over(self) -> bool:
        """Whether the worker must be killed: its time to end has passed, or a second interruption came."""
        repeated = self.interruption is not None and self.interruption.at_once
        return self.ending is not None and (repeated or self.get_seconds_left() == 0)


class _SupervisedWorker:
    """A worker and its supervisor, as the parent sees them."""

    def __init__(self, log: Path, request: TrialRequest) -> None:
        self._events, events = os.pipe()
        lifeline, self._lifeline = os.pipe()
        mark, self._output = uuid.uuid4().hex, b""
        self._mark = f"{MARK}={mark}"
        command = [sys.executable, "-m", "harness.worker", "--events", str(events)]
        with log.open("ab") as errors:
            errors.write(f"--- {format_now()}\n".encode())
            errors.flush()
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "harness.launchers.supervisor", str(lifeline), str(log), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=[events, lifeline],
                env={
                    **os.environ,
                    **build_worker_environment(os.environ),
                    MARK: mark,
                },  # the supervisor removes the values of secret variables from the log
                start_new_session=True,
            )
        os.close(events)
        os.close(lifeline)
        assert self._supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._supervisor.stdin:  # if it died at once, its exit code says so
            self._supervisor.stdin.write(request.to_json().encode())

    def read_events(self, state: _WorkerState) -> Iterator[Event | OutcomeLine]:
        """Yield events until the pipe closes, the supervisor ends or `state` is over; ask the worker to end when due.

        Lines that are not events are skipped. The supervisor's end is watched because processes that the worker forked
        may survive a killed supervisor and keep the event pipe open.
        """
        assert self._supervisor.stdout is not None
        pending, words = b"", self._supervisor.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._events, words):
                selector.register(descriptor, selectors.EVENT_READ)
            if state.interruption is not None:
                selector.register(state.interruption.fileno(), selectors.EVENT_READ)
            while not state.is_over():
                ready = {key.fd for key, _ in selector.select(state.get_seconds_left())}
                if state.interruption is not None and state.interruption.fileno() in ready:
                    state.interruption.acknowledge()
                if state.must_end_now():
                    self._send(b"t")
                said = os.read(words, 1 << 12) if words in ready else None
                self._output += said or b""
                if self._events in ready:
                    chunk = os.read(self._events, 1 << 16)  # the capacity of a pipe
                    if not chunk:
                        return
                    *lines, pending = (pending + chunk).split(b"\n")
                    yield from filter(None, map(read_event, lines))
                    if len(pending) > LONGEST_EVENT:
                        pending = b""
                if said == b"":
                    return

    def wait(self, seconds: float) -> None:
        """Wait for the worker to end by itself, for this many seconds at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._supervisor.wait(seconds)

    def kill(self) -> None:
        """Kill the worker and every process that it started, whatever state they are in."""
        self._send(b"k")
        os.close(self._lifeline)
        os.close(self._events)
        try:
            self._supervisor.wait(SUPERVISOR_SECONDS)
        except subprocess.TimeoutExpired:  # something hangs in the kernel; killing the supervisor kills the worker too
            self._supervisor.kill()
            self._supervisor.wait()
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as stream:
            self._report: dict[str, Any] = {}
            for line in (self._output + stream.read()).splitlines():
                with contextlib.suppress(ValueError):
                    self._report |= json.loads(line)
        if "code" not in self._report:  # the supervisor itself was killed before it could end the worker
            if "pid" in self._report:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._report["pid"], signal.SIGKILL)
            kill_all(lambda: find_marked(self._mark))

    def explain_death(self) -> tuple[Any, str]:
        """Status and message for a worker that ended without an outcome."""
        code = self._report.get("code")
        if code is None:
            return "error", f"the worker's supervisor ended with exit code {self._supervisor.returncode}; see the log"
        if code == -signal.SIGKILL:
            status, message = explain_kill(*self._report["kills"])
            return status, f"{message}; see the log"
        if code < 0:
            return "error", f"the worker was ended by {_name_signal(-code)}; see the log"
        return "error", f"the worker ended with exit code {code} and no outcome; see the log"

    def _send(self, command: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._lifeline, command)


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"

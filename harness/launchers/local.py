"""Runs a trial in a fresh Python process on this machine (POSIX).

The worker leads a process group of its own, so that a time limit or an interruption ends all that it started. Its
output goes to the trial's log. The parent blocks on the event pipe and uses no CPU while the trial runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.protocol import Outcome

GRACE_SECONDS = 5.0
"""Between asking a worker's group to end and killing it."""

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
ADDED = {"TOKENIZERS_PARALLELISM": "false"}
"""Making malloc return memory sooner would tell methods apart by resident memory, and halves the speed of training."""


class LocalLauncher:
    """Launches workers as child processes."""

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = timeout

    def launch(self, request: Mapping[str, Any], log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Run one trial to its end and return its outcome, whatever becomes of the worker.

        `on_event` sees every event. `KeyboardInterrupt` passes through once the worker's group is gone.
        """
        started = datetime.now(UTC).isoformat(timespec="seconds")
        last: dict[str, Any] = {"phase": "start", "step": None}
        read, write = os.pipe()
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "harness.worker", "--events", str(write)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write],
                env=worker_environment(os.environ),
                start_new_session=True,
            )
        os.close(write)
        outcome: Outcome | None = None
        timed_out = spoken = False
        try:
            _send(worker, request)
            for event in _events(read, self.timeout):
                if event["event"] == "outcome":
                    outcome = _read_outcome(event)
                    break  # what the worker forked may hold the pipe open; there is nothing more to hear
                if event["event"] == "phase":
                    last.update(phase=event.get("name"))
                elif event["event"] == "step":
                    last.update(step=event.get("step"))
                on_event(event)
            spoken = True  # an outcome, or a closed pipe: either way the worker is about to end by itself
        except TimeoutError:
            timed_out = True
        finally:
            os.close(read)
            code = end_group(worker, wait=spoken)
        if outcome is not None:
            return outcome
        status, message = ("timeout", f"passed the time limit of {self.timeout:g} s") if timed_out else _death(code)
        return Outcome(
            status=status,  # type: ignore[arg-type]
            message=message,
            started_at=started,
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            **last,
        )


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a worker may see, and those that make its memory figures comparable."""
    allowed = {key: value for key, value in environment.items() if key in ENVIRONMENT or key.startswith(PREFIXES)}
    # The worker must find the same packages as its parent, also where the parent runs from a checkout.
    paths = [str(Path(__file__).resolve().parents[2]), environment.get("PYTHONPATH", "")]
    return {**allowed, **ADDED, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def end_group(worker: subprocess.Popen[bytes], *, wait: bool) -> int:
    """End a worker and all that it started; return its exit code. With `wait` it may first finish by itself."""
    if wait:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(GRACE_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(GRACE_SECONDS)
            if number == signal.SIGKILL:
                break
    return worker.wait()


def _send(worker: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    assert worker.stdin is not None
    with (
        contextlib.suppress(BrokenPipeError),
        worker.stdin,
    ):  # a worker that died at once is told by its exit code
        worker.stdin.write(json.dumps(request).encode())


def _events(descriptor: int, timeout: float | None) -> Iterator[dict[str, Any]]:
    """Yield events until the pipe closes; lines that are no events are left out. Raises `TimeoutError`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or not selector.select(left):
                raise TimeoutError
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict) and isinstance(event.get("event"), str):
                        yield event


def _read_outcome(event: Mapping[str, Any]) -> Outcome | None:
    try:
        return Outcome.from_event(event)
    except (KeyError, TypeError, AttributeError):
        return None  # garbage is no outcome; the exit code then tells what there is to tell


def _death(code: int) -> tuple[str, str]:
    """Status and sentence for a worker that ended without an outcome."""
    if code == -signal.SIGKILL:
        return (
            "oom",
            "the worker was killed (SIGKILL), most likely by the kernel for want of memory; see the log",
        )
    if code < 0:
        return "error", f"the worker was ended by {signal.Signals(-code).name}; see the log"
    return "error", f"the worker ended with exit code {code} and no outcome; see the log"

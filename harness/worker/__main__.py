"""`python -m harness.worker --events FD` carries out the trial whose request is on standard input."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from harness.request import TrialRequest
from harness.worker.stop_signal import StopSignal
from harness.worker.trial import Worker


def main() -> int:
    """Read a request, carry it out and write the outcome; the exit code is 0 whenever an outcome was written."""
    parser = argparse.ArgumentParser(prog="python -m harness.worker")
    parser.add_argument("--events", type=int, required=True, help="file descriptor of the event pipe")
    arguments = parser.parse_args()
    os.set_inheritable(arguments.events, False)
    stop = StopSignal()
    signal.signal(signal.SIGTERM, stop)
    with os.fdopen(arguments.events, "w", encoding="utf-8") as events:
        outcome = Worker(TrialRequest.from_json(sys.stdin.buffer.read()), events, stop).run()
        events.write(outcome.to_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

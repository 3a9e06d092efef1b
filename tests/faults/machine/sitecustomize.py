"""A machine with a wall clock that can be set from outside, and with a slow disk.

It is imported at the start of every Python process of a run that has this folder on its search path. The clock is as
far off as the file that HARNESS_FAULT_CLOCK names says, in seconds: changing the machine's own would need rights, and
would disturb all else that runs on it. HARNESS_FAULT_SYNC is how many seconds more it takes to sync a file.
"""

import datetime
import os
import time
from pathlib import Path

if "HARNESS_FAULT_CLOCK" in os.environ:
    # Compiled code takes the size of the real class for granted, so it is imported before another takes its place.
    import pandas  # noqa: F401
    import pydantic

    pydantic.TypeAdapter(datetime.datetime).validate_python("2026-01-01")

    _file = Path(os.environ["HARNESS_FAULT_CLOCK"])
    _real = time.time

    def _now() -> float:
        try:
            return _real() + float(_file.read_text())
        except (OSError, ValueError):
            return _real()

    class _Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(_now(), tz)

    time.time = _now
    datetime.datetime = _Datetime

if "HARNESS_FAULT_SYNC" in os.environ:
    _seconds = float(os.environ["HARNESS_FAULT_SYNC"])
    _sync = os.fsync

    def _slow(descriptor) -> None:
        time.sleep(_seconds)
        _sync(descriptor)

    os.fsync = _slow

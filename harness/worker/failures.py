"""From the exception that ended a trial to its status and one sentence for the record."""

from __future__ import annotations

import errno

from harness.errors import HarnessError
from methods.errors import (
    DivergedError,
    MethodError,
    UnsupportedError,
    describe_error,
    describe_error_with_type,
    is_out_of_memory,
)


def describe_failure(error: Exception) -> tuple[str, str]:
    """The status of a failed trial, and one sentence about the error."""
    if isinstance(error, UnsupportedError):
        return "unsupported", str(error)
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    text = describe_error(error, None)
    if is_out_of_memory(error):
        reason = describe_error(error, 300) if str(error).strip() else "an allocation failed"
        return "oom", f"out of memory: {reason}; try a smaller --batch-size"
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "os error 28" in text.lower():
        return "error", "no space is left on the disk; free some, or choose another --out"
    if isinstance(error, (HarnessError, MethodError)):
        return "error", text  # its text is one sentence already
    return "error", describe_error_with_type(error, 500)

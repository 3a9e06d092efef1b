"""What an exception that ended a trial says: its status and one sentence for the record."""

from __future__ import annotations

import errno
import re

from harness.errors import HarnessError
from methods.errors import DivergedError, MethodError, UnsupportedError

_MEMORY = re.compile(
    r"out of memory|not enough memory|can(no|')t allocate memory|bad_alloc|ALLOC_FAILED|insufficient memory",
    re.IGNORECASE,
)
"""How allocators of the host, of CUDA and its libraries, and of other devices say it."""


def describe_failure(error: Exception) -> tuple[str, str]:
    """Status and one sentence for what ended a trial."""
    if isinstance(error, UnsupportedError):
        return "unsupported", str(error)
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    text = " ".join(str(error).split())
    if _is_want_of_memory(error, text):
        return "oom", f"out of memory: {text[:300] or 'an allocation failed'}; try a smaller --batch-size"
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "os error 28" in text.lower():
        return "error", "no space is left on the disk; free some, or choose another --out"
    if isinstance(error, (HarnessError, MethodError)):
        return "error", text  # a sentence already
    return "error", f"{type(error).__name__}: {text[:500]}"


def _is_want_of_memory(error: BaseException, text: str) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError | OSError) and _MEMORY.search(text):
        return True
    cause = error.__cause__
    return cause is not None and _is_want_of_memory(cause, " ".join(str(cause).split()))

"""The log of one trial: a worker's output without secrets; of very long output only the beginning and the end."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

HEAD_BYTES = 32 << 20
"""After this many bytes only the last lines are kept, so that a worker cannot fill the disk."""
TAIL_BYTES = 1 << 20
LONGEST_LINE = 1 << 16
"""Longer lines are written in parts of this size."""
OVERLAP = 1 << 12
"""Bytes at the end of such a part that are held back, since a secret may continue in the next part."""


class Log:
    """Appends to a file, line by line; on a full disk lines are lost, but the trial goes on."""

    def __init__(self, path: Path, clean: Callable[[bytes], bytes] = bytes) -> None:
        self._clean = clean
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._pending = b""
        self._written = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = self._left_out = 0

    def write(self, chunk: bytes) -> None:
        """Add a piece of output; a line is written once it is complete."""
        lines, end, self._pending = (self._pending + chunk).rpartition(b"\n")
        self._add_lines(lines + end)
        if len(self._pending) >= LONGEST_LINE:
            clean = self._clean(self._pending)
            self._add_lines(clean[:-OVERLAP])
            self._pending = clean[-OVERLAP:]

    def close(self) -> None:
        """Write what is held back, and how many bytes were left out before it."""
        self._add_lines(self._pending)
        if self._left_out:
            self._append(b"\n[%d bytes of output left out here]\n" % self._left_out)
        for block in self._tail:
            self._append(self._clean(block))
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _add_lines(self, block: bytes) -> None:
        """Write complete lines, or hold them back once the beginning is full; most of those are never written."""
        if self._written < HEAD_BYTES:
            clean = self._clean(block)
            self._written += len(clean)
            self._append(clean)
            return
        self._tail.append(block)
        self._tail_bytes += len(block)
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            gone = len(self._tail.popleft())
            self._tail_bytes -= gone
            self._left_out += gone

    def _append(self, line: bytes) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, line)

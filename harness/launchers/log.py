"""The log of one trial: what a worker prints, without secrets, its beginning and its end kept where it floods."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

HEAD_BYTES = 32 << 20
"""From here on only the last lines are kept, so that a worker that floods its output cannot fill the disk."""
TAIL_BYTES = 1 << 20
LONGEST_LINE = 1 << 16
"""A line without an end is written in parts of this many bytes."""
OVERLAP = 1 << 12
"""Bytes of such a part that wait for the next one, since a secret may go on there."""


class Log:
    """Appends to a file, line by line; a full disk loses lines and stops nothing."""

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
        """Take in output as it comes; a line is written when it is whole."""
        lines, end, self._pending = (self._pending + chunk).rpartition(b"\n")
        self._block(lines + end)
        if len(self._pending) >= LONGEST_LINE:
            clean = self._clean(self._pending)
            self._block(clean[:-OVERLAP])
            self._pending = clean[-OVERLAP:]

    def close(self) -> None:
        """Write what is held back, with a word on what was left out."""
        self._block(self._pending)
        if self._left_out:
            self._put(b"\n[%d bytes of output left out here]\n" % self._left_out)
        for block in self._tail:
            self._put(self._clean(block))
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _block(self, block: bytes) -> None:
        """Write whole lines, or hold them back where there was too much already; most of those will never be needed."""
        if self._written < HEAD_BYTES:
            clean = self._clean(block)
            self._written += len(clean)
            self._put(clean)
            return
        self._tail.append(block)
        self._tail_bytes += len(block)
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            gone = len(self._tail.popleft())
            self._tail_bytes -= gone
            self._left_out += gone

    def _put(self, line: bytes) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, line)

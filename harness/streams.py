"""Standard streams that can be written to, whatever they are: closed, or of an encoding that lacks characters."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Make writing to the standard streams safe: characters that an encoding lacks are replaced.

    A stream that was closed before the start is opened on nothing. Otherwise the next file or pipe would get its
    number, and libraries that write to it would write there.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")

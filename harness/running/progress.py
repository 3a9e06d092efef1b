"""How a run looks while it runs: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column

from harness.planning.plan import Trial
from reports.format import format_value
from reports.records.record import Record

LINES = {"step": 10, "evaluated": 4}
"""Kind of event → how many plain lines tell of it in one phase."""

WIDE = 110
"""Columns from which on a terminal has room for a bar beside the figures."""


def say(text: str) -> None:
    """Print at once; where nobody takes it (a closed pipe, a full disk) the run goes on without a word more."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        with contextlib.suppress(OSError):
            print(f"warning: nobody takes the output ({error.strerror}); the run goes on", file=sys.stderr)


class PlainProgress:
    """A line when a trial starts, for each part of its training and evaluation, and when it ends."""

    def __init__(self, total: int, write: Callable[[str], None] | None = None) -> None:
        self.total = total
        self.write = write or say
        self.count = 0
        self._part = 0
        self._since = time.monotonic()

    def started(self, trial: Trial) -> None:
        """Announce the trial."""
        self.write(f"[{self.count + 1}/{self.total}] {trial.label} …")

    def event(self, event: Mapping[str, Any]) -> None:
        """Tell each phase, and each part of training and evaluation with the time that is left of it."""
        if event["event"] == "phase":
            self._since, self._part = time.monotonic(), 0
            self.write(f"        {event['name']}")
        elif event["event"] == "stage":
            self.write(f"        {event['name'].replace('_', ' ')}")
        elif (part := int(event["progress"] * LINES[event["event"]])) > self._part:
            self._part = part
            left = (time.monotonic() - self._since) * (1 - event["progress"]) / event["progress"]
            self.write(f"        {event['progress']:4.0%}  {describe_step(event)}  {format_value(left, 's')} left")

    def ended(self, record: Record, *, skipped: bool) -> None:
        """Tell the outcome."""
        self.count += 1
        self.write(f"[{self.count}/{self.total}] {describe_record(record)}{' (finished earlier)' if skipped else ''}")

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to tidy up."""


class LiveProgress:
    """One live bar for the running trial, and a line for each that has ended."""

    def __init__(self, total: int, console: Console) -> None:
        self.total = total
        self.console = console
        self.count = 0
        wide = console.width >= WIDE
        columns = (
            TextColumn("[bold]{task.fields[label]}"),
            TextColumn("{task.description}"),
            *((BarColumn(bar_width=24), TimeElapsedColumn()) if wide else (SpinnerColumn(),)),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[step]}", table_column=Column()),  # alone may wrap, so that no other is cut
        )
        self.bars = Bars(*columns, console=console, transient=True)
        self._bar: Any = None
        self._label = ""

    def started(self, trial: Trial) -> None:
        """Show a bar."""
        self._label = f"[{self.count + 1}/{self.total}] {trial.label}".replace("[", r"\[")
        self._show("start")

    def event(self, event: Mapping[str, Any]) -> None:
        """Move the bar: one of known length in training and evaluation, a pulse in the other phases."""
        if event["event"] == "phase":
            self._show(event["name"])
        elif event["event"] == "stage":
            self.bars.update(self._bar, description=event["name"].replace("_", " "))
        else:
            self.bars.update(self._bar, completed=event["progress"], step=describe_step(event))

    def _show(self, phase: str) -> None:
        """A new bar for a phase, in place of the one before."""
        if self._bar is not None:
            self.bars.remove_task(self._bar)
        total = 1.0 if phase in ("train", "evaluate") else None
        self._bar = self.bars.add_task(phase, total=total, label=self._label, step="")

    def ended(self, record: Record, *, skipped: bool) -> None:
        """Replace the bar by a line."""
        self.count += 1
        if self._bar is not None:
            self.bars.remove_task(self._bar)
            self._bar = None
        earlier = " (finished earlier)" if skipped else ""
        line = f"[{self.count}/{self.total}] {describe_record(record)}{earlier}"
        self.console.print(line, markup=False, style=None if record.ok else "red", highlight=False)

    def __enter__(self) -> LiveProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()


def progress_for(total: int, console: Console) -> PlainProgress | LiveProgress:
    """The display that fits where output goes."""
    return LiveProgress(total, console) if console.is_terminal else PlainProgress(total)


def describe_step(event: Mapping[str, Any]) -> str:
    """Step, loss, speed and memory in a few words."""
    parts = [f"step {event['step']}"] if "step" in event else []
    if event.get("loss") is not None:
        parts.append(f"loss {event['loss']:.3f}")
    if event.get("tokens_per_second") is not None:
        parts.append(f"{event['tokens_per_second']:,.0f} tokens/s")
    if event.get("host_bytes") is not None:
        parts.append(format_value(event["host_bytes"], "bytes"))
    if event.get("device_bytes") is not None:
        parts.append(f"device {format_value(event['device_bytes'], 'bytes')}")
    return "  ".join(parts)


def describe_record(record: Record) -> str:
    """Variant, ending and the first number that matters."""
    label = record.variant if record.role == "base" else f"{record.variant} seed {record.seed}"
    if not record.ok:
        where = f" in {record.phase}" if record.phase else ""
        return f"{label}: {record.status}{where}: {record.message}"
    quality = record.metrics.get("rougeL")
    total = record.metrics.get("total_seconds")
    score = "" if quality is None else f"  ROUGE-L {quality:.3f}"
    return f"{label}: ok{score}{'' if total is None else '  in ' + format_value(total, 's')}"

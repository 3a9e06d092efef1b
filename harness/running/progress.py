"""Shows the progress of a run: a live bar on a terminal, plain lines elsewhere."""

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

from harness.events import EvaluationProgress, Event, PhaseEvent, StageEvent, StepProgress
from harness.planning.plan import Trial
from reports.format import format_value
from reports.records.record import Record

LINES: Mapping[type, int] = {StepProgress: 10, EvaluationProgress: 4}
"""Kind of event → how many plain lines are printed for it in one phase."""

WIDE = 110
"""Width in columns from which a terminal has room for a bar beside the numbers."""


def say(text: str) -> None:
    """Print at once. If the output cannot be written (a closed pipe, a full disk), warn and go on without output."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        with contextlib.suppress(OSError):
            print(
                f"warning: the output cannot be written ({error.strerror}); the run goes on without it", file=sys.stderr
            )


class PlainProgress:
    """Prints a line when a trial starts, for each part of its training and evaluation, and when it ends."""

    def __init__(self, total: int, write: Callable[[str], None] | None = None) -> None:
        self.total = total
        self.write = write or say
        self.count = 0
        self._part = 0
        self._since = time.monotonic()

    def show_start(self, trial: Trial) -> None:
        """Print that the trial starts."""
        self.write(f"[{self.count + 1}/{self.total}] {trial.label} …")

    def show_event(self, event: Event) -> None:
        """Print each phase, and each part of training and evaluation with the time left."""
        if isinstance(event, PhaseEvent):
            self._since, self._part = time.monotonic(), 0
            self.write(f"        {event.name}")
        elif isinstance(event, StageEvent):
            self.write(f"        {event.name.replace('_', ' ')}")
        elif (part := int(event.progress * LINES[type(event)])) > self._part:
            self._part = part
            left = (time.monotonic() - self._since) * (1 - event.progress) / event.progress
            self.write(f"        {event.progress:4.0%}  {describe_progress(event)}  {format_value(left, 's')} left")

    def show_end(self, record: Record, *, skipped: bool) -> None:
        """Print the outcome."""
        self.count += 1
        self.write(f"[{self.count}/{self.total}] {describe_record(record)}{' (finished earlier)' if skipped else ''}")

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class LiveProgress:
    """Shows a live bar for the running trial, and a line for each trial that has ended."""

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
            TextColumn(
                "{task.fields[step]}", table_column=Column()
            ),  # only this column wraps, so that no other is cut off
        )
        self.bars = Bars(*columns, console=console, transient=True)
        self._bar: Any = None
        self._label = ""

    def show_start(self, trial: Trial) -> None:
        """Show a bar."""
        self._label = f"[{self.count + 1}/{self.total}] {trial.label}".replace("[", r"\[")
        self._show("start")

    def show_event(self, event: Event) -> None:
        """Move the bar. Its length is known in training and evaluation; in other phases it pulses."""
        if isinstance(event, PhaseEvent):
            self._show(event.name)
        elif isinstance(event, StageEvent):
            self.bars.update(self._bar, description=event.name.replace("_", " "))
        else:
            self.bars.update(self._bar, completed=event.progress, step=describe_progress(event))

    def _show(self, phase: str) -> None:
        """Replace the bar by one for a new phase."""
        if self._bar is not None:
            self.bars.remove_task(self._bar)
        total = 1.0 if phase in ("train", "evaluate") else None
        self._bar = self.bars.add_task(phase, total=total, label=self._label, step="")

    def show_end(self, record: Record, *, skipped: bool) -> None:
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


def choose_progress(total: int, console: Console) -> PlainProgress | LiveProgress:
    """The live display on a terminal, plain lines elsewhere."""
    return LiveProgress(total, console) if console.is_terminal else PlainProgress(total)


def describe_progress(event: StepProgress | EvaluationProgress) -> str:
    """Step, loss, speed and memory on one line."""
    parts = []
    if isinstance(event, StepProgress):
        parts.append(f"step {event.step}")
        if event.loss is not None:
            parts.append(f"loss {event.loss:.3f}")
        if event.tokens_per_second is not None:
            parts.append(f"{event.tokens_per_second:,.0f} tokens/s")
    if event.host_bytes is not None:
        parts.append(format_value(event.host_bytes, "bytes"))
    if isinstance(event, StepProgress) and event.device_bytes is not None:
        parts.append(f"device {format_value(event.device_bytes, 'bytes')}")
    return "  ".join(parts)


def describe_record(record: Record) -> str:
    """Variant, status, and the score or the error message."""
    label = record.variant if record.role == "base" else f"{record.variant} seed {record.seed}"
    if not record.ok:
        where = f" in {record.phase}" if record.phase else ""
        return f"{label}: {record.status}{where}: {record.message}"
    quality = record.metrics.get("rougeL")
    total = record.metrics.get("total_seconds")
    score = "" if quality is None else f"  ROUGE-L {quality:.3f}"
    return f"{label}: ok{score}{'' if total is None else '  in ' + format_value(total, 's')}"

"""How a run looks while it runs: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from harness.plan import Trial
from reports.format import format_value
from reports.record import Record


class PlainProgress:
    """A line when a trial starts, for each tenth of its training, and when it ends."""

    def __init__(self, total: int, write: Callable[[str], None] = print) -> None:
        self.total = total
        self.write = write
        self.count = 0
        self._tenth = 0
        self._since = time.monotonic()

    def started(self, trial: Trial) -> None:
        """Announce the trial."""
        self._tenth = 0
        self.write(f"[{self.count + 1}/{self.total}] {trial.label} …")

    def event(self, event: Mapping[str, Any]) -> None:
        """Tell each phase, and each tenth of the training with the time that is left of it."""
        if event["event"] == "phase":
            self._since = time.monotonic()
            self.write(f"        {event['name']}")
        elif event["event"] == "step" and int(event["progress"] * 10) > self._tenth:
            self._tenth = int(event["progress"] * 10)
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
        self.bars = Bars(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[label]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[step]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._bar: Any = None

    def started(self, trial: Trial) -> None:
        """Show a bar."""
        label = f"[{self.count + 1}/{self.total}] {trial.label}".replace("[", r"\[")
        self._bar = self.bars.add_task("start", total=None, label=label, step="")

    def event(self, event: Mapping[str, Any]) -> None:
        """Move the bar: a bar of known length while training, a pulse in the other phases."""
        if event["event"] == "phase":
            training = event["name"] == "train"
            self.bars.reset(self._bar, description=event["name"], total=1.0 if training else None, step="")
        else:
            self.bars.update(self._bar, completed=event["progress"], step=describe_step(event))

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
    parts = [f"step {event['step']}"]
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

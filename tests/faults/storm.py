"""Random faults in number: run directories whose every start is killed or interrupted, until nothing is left to do.

After each fault all that was finished before must be there, byte for byte, and no process of the trial or of the run
may be left. In the end the same command finishes the run, with one record for each trial.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import itertools
import os
import random
import select
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .rig import MACHINE, Figures, Run, install_plugin

VARIANTS = ("toy[seconds_per_step=0.002]", "faulty[fault=fork,seconds_per_step=0.002]")
"""The second starts processes that would stay for long, one of them deaf to SIGTERM, all in sessions of their own."""
COMMAND = (
    *("--model", "toy", "--task", "toy", "--methods", "toy,faulty", "--budget", "steps=100"),
    *("--set", "toy.seconds_per_step=0.002", "--set", "faulty.seconds_per_step=0.002", "--set", "faulty.fault=fork"),
)
TRIALS = 3
SYNC_SECONDS = 0.01
"""More than the disk takes to sync a file, of which two are synced to write one: its folder, too."""
STARTS = 12
"""No run directory takes more before it is finished."""


@dataclass(frozen=True)
class Kind:
    """One way to end a run, or a part of it."""

    who: Literal["worker", "supervisor", "parent"]
    number: signal.Signals
    weight: int
    writing: bool = False
    """Whether to inject the fault when a record or a report begins to be written, and not at a random moment."""
    twice: bool = False

    def __str__(self) -> str:
        how = f"{self.number.name}{' twice' if self.twice else ''}"
        return f"{how} of the {self.who}{' as it writes' if self.writing else ''}"


KINDS = (
    Kind("worker", signal.SIGKILL, 6),
    Kind("supervisor", signal.SIGKILL, 3),
    Kind("parent", signal.SIGKILL, 4),
    Kind("parent", signal.SIGKILL, 4, writing=True),
    Kind("parent", signal.SIGINT, 2),
    Kind("parent", signal.SIGTERM, 2),
    Kind("parent", signal.SIGINT, 1, twice=True),
)
_IN_CREATE = 0x100  # inotify(7)


@dataclass(frozen=True)
class Pace:
    """How long a start and a trial take here, in seconds; random moments are drawn from their length."""

    start: float
    trial: float


class Campaign:
    """Injects faults into one run directory, one after another."""

    def __init__(self, run: Run, seed: str, pace: Pace, figures: Figures, wanted: Callable[[], bool]) -> None:
        self.random = random.Random(seed)
        self.run = run
        self.pace = pace
        self.figures = figures
        self.wanted = wanted
        self.whole: dict[str, bytes] = {}
        (run.directory / "records").mkdir(parents=True)  # so that it can be watched

    def fight(self) -> None:
        """Inject faults while they are wanted and trials are left, then finish the run and check it."""
        self._storm()
        self._complete()
        if self.random.random() < 0.25:  # finished records are replaced, and none may be lost
            self._storm("--rerun", "all")
            self._complete()

    def _storm(self, *more: str) -> None:
        for _ in range(STARTS):
            if self.wanted() and (len(self.whole) < TRIALS or more):
                self._start(*more)
                more = ()

    def _start(self, *more: str) -> None:
        """Start the run and inject faults until it ends."""
        left = TRIALS if more else TRIALS - len(self.whole)
        moment = self.random.uniform(0, self.pace.start + self.pace.trial * left)
        with self.run.start(*more) as process:
            while True:
                kind = self.random.choices(KINDS, [kind.weight for kind in KINDS])[0]
                if not self.wanted() or not self._hit(kind, moment, process):
                    self._check_end(None, self.run.end(process))  # the run ended by itself before the fault
                    return
                self.figures.faults[str(kind)] += 1
                if kind.who == "parent":
                    self._check_end(kind, self.run.end(process))
                    return
                self._check()
                moment = self.random.uniform(0, 2 * self.pace.trial)

    def _hit(self, kind: Kind, moment: float, process: subprocess.Popen[bytes]) -> bool:
        """Inject a fault at a moment, or when a file is being written; return False if the run ended before that."""
        self.whole |= self.run.read_finished()
        if kind.writing:
            if not self._wait_for_draft(process, self.random.randint(1, TRIALS)):
                return False
            time.sleep(self.random.uniform(0, 1.5 * SYNC_SECONDS))
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            self.whole |= self.run.read_finished()
        if kind.who != "parent":
            return self._hit_below(kind, process)
        if process.poll() is not None:
            return False
        process.send_signal(kind.number)
        if kind.twice:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(0, 0.1))
            process.send_signal(kind.number)
        return True

    def _hit_below(self, kind: Kind, process: subprocess.Popen[bytes]) -> bool:
        """Kill the current worker or supervisor; both, and all processes of the worker, must then disappear."""
        find = self.run.find_worker if kind.who == "worker" else self.run.find_supervisor
        while (target := find(process.pid)) is None:
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        before = set(self.run.find_processes()) - {process.pid}
        try:
            os.kill(target, kind.number)
        except ProcessLookupError:
            return False
        self.figures.left += len(self.run.find_leftovers(among=before))
        return True

    def _wait_for_draft(self, process: subprocess.Popen[bytes], count: int) -> bool:
        """Wait until `count` files have begun to be written; return False if the run ends before that."""
        with watch_for_drafts(self.run.directory, self.run.directory / "records") as begun:
            while count and process.poll() is None:
                count -= begun(0.05)
        return count == 0

    def _check_end(self, kind: Kind | None, code: int) -> None:
        """Check what a start has left behind."""
        self.figures.left += len(self.run.find_leftovers())
        self.figures.writing += bool(self.run.find_drafts())
        self._check()
        said = self.run.printed
        if kind is not None and kind.number == signal.SIGKILL:
            right = code == -signal.SIGKILL or (code in (0, 1) and "wrote " in said)  # it may come just after the end
        elif kind is not None and ("[1/" not in said or "wrote " in said):
            right = True  # while Python itself starts or ends, signals have their usual effect
        else:
            right = code in (0, 1, 130)[: 3 if kind else 2] and "Traceback" not in said
        if not right:
            self.figures.amiss.append(f"{kind}: exit code {code} and {said[-800:]!r}")

    def _check(self) -> None:
        """Check that finished records are unchanged, and that every file among the records is one."""
        records = self.run.directory / "records"
        superseded = {path.read_bytes() for path in (self.run.directory / "superseded").glob("*.json")}
        for name, held in list(self.whole.items()):
            path = records / name
            if held in superseded:
                del self.whole[name]
            elif not path.is_file() or path.read_bytes() != held:
                self.figures.lost += 1
                self.figures.amiss.append(f"{path} is not what it was")
        self.figures.amiss += self.run.store.read()[1]
        self.whole |= self.run.read_finished()

    def _complete(self) -> None:
        """Check that the same command finishes the run, one record per trial, and does nothing the second time."""
        for _ in range(2):
            code = self.run.finish()
            self.figures.left += len(self.run.find_leftovers())
            if code != 0:
                self.figures.amiss.append(f"{self.run.directory}: resumed with exit code {code}: {self.run.printed}")
                return
            self._check()
        records, _ = self.run.store.read()
        trials = {(record.variant, record.seed) for record in records if record.ok}
        planned = {("base", 0), *((variant, 0) for variant in VARIANTS)}
        self.figures.doubled += len(records) - len(planned)
        with (self.run.directory / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
            rows = sorted(row["variant"] for row in csv.DictReader(stream))
        for right, what in (
            (trials == planned, "not every trial has its record"),
            (rows == sorted({"base", *VARIANTS}), f"the leaderboard lists {rows}"),
            (not self.run.find_drafts(), "drafts are left"),
            (not list((self.run.directory / "checkpoints").glob("*")), "checkpoints are left"),
        ):
            if not right:
                self.figures.amiss.append(f"{self.run.directory}: {what}")


@contextlib.contextmanager
def watch_for_drafts(*folders: Path) -> Iterator[Callable[[float], bool]]:
    """Give a function that waits for some seconds and returns whether a draft was made in one of the folders."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for folder in folders:
        if libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_CREATE) < 0:
            raise OSError(ctypes.get_errno(), "cannot watch", str(folder))

    def begun(seconds: float) -> bool:
        if not select.select([descriptor], [], [], seconds)[0]:
            return False
        data, names = os.read(descriptor, 1 << 14), []
        while data:
            length = struct.unpack_from("iIII", data)[3]
            names.append(data[16 : 16 + length].rstrip(b"\0"))
            data = data[16 + length :]
        return any(name.endswith(b".draft") and b".probe" not in name for name in names)

    try:
        yield begun
    finally:
        os.close(descriptor)


def _measure_pace(run: Run) -> Pace:
    """Measure the pace on a run without faults. Raises `AssertionError` if that run fails."""
    times = []
    for _ in range(2):
        started = time.monotonic()
        assert run.finish() == 0, run.printed
        times.append(time.monotonic() - started)
    return Pace(times[1], (times[0] - times[1]) / TRIALS)


def run_storm(folder: Path, *, seed: int, faults: int | None = None, seconds: float = float("inf")) -> Figures:
    """Inject this many faults, or for this long, into two run directories at a time; return the counts."""
    started, parts, search = (
        time.monotonic(),
        [Figures()],
        os.pathsep.join((str(MACHINE), install_plugin(folder / "site"))),
    )

    def command(place: Path) -> Run:
        return Run(place / "run", *COMMAND, search=search, HARNESS_FAULT_SYNC=str(SYNC_SECONDS))

    def wanted() -> bool:
        given = sum(part.faults.total() for part in parts)
        return (faults is None or given < faults) and time.monotonic() - started < seconds

    pace, numbers = _measure_pace(command(folder)), itertools.count()

    def fight() -> None:
        while wanted():
            mine = Figures()
            parts.append(mine)
            with tempfile.TemporaryDirectory(dir=folder) as place:
                Campaign(command(Path(place)), f"{seed}-{next(numbers)}", pace, mine, wanted).fight()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(fight) for _ in range(2)]:
            future.result()
    total = Figures(seconds=time.monotonic() - started)
    for part in parts:
        total.add(part)
    return total

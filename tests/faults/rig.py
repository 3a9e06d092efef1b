"""The test rig for faults: runs the real command line, finds its processes, and reads what it has finished."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from reports.records.record import Record
from reports.records.store import RunStore

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).parent / "plugin"
MACHINE = Path(__file__).parent / "machine"
DYING_SECONDS = 3.0
"""How long killed processes may take to disappear on a busy machine; otherwise it takes milliseconds."""
LONGEST_SECONDS = 180.0
"""Upper bound for one start of a run."""


@dataclass
class Figures:
    """Counts over a suite of faults; all but the first two must be 0."""

    faults: Counter[str] = field(default_factory=Counter)
    """Kind → how many were injected."""
    writing: int = 0
    """Faults that left the draft of a file behind: they came while it was being written."""
    lost: int = 0
    """Records of finished trials that were changed, damaged or gone after a fault."""
    doubled: int = 0
    """Records beyond one for each trial that was planned."""
    left: int = 0
    """Processes that outlived their run."""
    amiss: list[str] = field(default_factory=list)
    """Descriptions of everything else that went wrong."""
    seconds: float = 0.0

    def format_lines(self) -> list[str]:
        """The lines that the suite prints."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        return [
            f"faults injected: {self.faults.total()} ({kinds})",
            f"hits during writing: {self.writing}",
            f"records lost: {self.lost}",
            f"records doubled: {self.doubled}",
            f"processes left: {self.left}",
            f"anything else amiss: {len(self.amiss)}",
            *(f"    {text}" for text in self.amiss),
            f"wall time: {self.seconds:.0f} s",
        ]

    def add(self, other: Figures) -> None:
        """Add the counts of another part."""
        self.faults += other.faults
        self.amiss += other.amiss
        for name in ("writing", "lost", "doubled", "left", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, left over or wrong."""
        return not (self.lost or self.doubled or self.left or self.amiss)


class Run:
    """One command on one run directory. Its processes are found by a variable that they all inherit."""

    def __init__(self, directory: Path, *arguments: str, search: str = "", **variables: str) -> None:
        self.directory = directory
        self.store = RunStore(directory)
        self.command = [sys.executable, "-m", "harness", "run", *arguments, "--out", str(directory)]
        self._marker = f"HARNESS_FAULT_RUN={uuid.uuid4().hex}"
        name, _, value = self._marker.partition("=")
        self.environment = {
            **os.environ,
            **variables,
            name: value,
            "PYTHONUNBUFFERED": "1",  # so that output before a kill is not lost
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [search, os.environ.get("PYTHONPATH", "")])),
        }
        self.output = directory.with_name(f"{directory.name}.output")

    def start(self, *more: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start the command; `prefix` is a command that starts it, such as `prlimit`."""
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [*prefix, *self.command, *more],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=ROOT,
                preexec_fn=_reset_signals,
            )

    def finish(self, *more: str, prefix: tuple[str, ...] = ()) -> int:
        """Run the command to its end; its exit code."""
        with self.start(*more, prefix=prefix) as process:
            return self.end(process)

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a process and return its exit code; kill it if it takes too long, which the code then shows."""
        try:
            return process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    @property
    def printed(self) -> str:
        """What the current or last start has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, phase: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a trial is in a phase. Raises `AssertionError` if the run ends before that."""
        while f"        {phase}\n" not in self.printed:
            assert process.poll() is None, f"the run ended without the phase {phase}:\n{self.printed}"
            time.sleep(0.01)

    def find_processes(self) -> dict[int, str]:
        """Id → command line of every process that the run started, itself included, in the order of their start."""
        found = {}
        for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
            with contextlib.suppress(OSError):  # a zombie has no environment and does not count
                if self._marker.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def find_supervisor(self, parent: int) -> int | None:
        """Id of the parent's current supervisor."""
        return next((pid for pid in find_children(parent) if "harness.launchers.supervisor" in self._line(pid)), None)

    def find_worker(self, parent: int) -> int | None:
        """Id of the worker of the parent's current supervisor."""
        supervisor = self.find_supervisor(parent)
        found = find_children(supervisor) if supervisor else []
        return next((pid for pid in found if " -m harness.worker " in self._line(pid)), None)

    def find_leftovers(self, among: Set[int] | None = None) -> list[str]:
        """Command lines of the run's processes (or of those in `among`) that do not disappear in time."""
        deadline = time.monotonic() + DYING_SECONDS
        while True:
            found = [line for pid, line in self.find_processes().items() if among is None or pid in among]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def read_records(self) -> dict[str, Record]:
        """Variant → record, of several seeds the last. Raises `AssertionError` if a file is not a record."""
        records, problems = self.store.read()
        assert not problems, problems
        return {record.variant: record for record in records}

    def read_finished(self) -> dict[str, bytes]:
        """File name → bytes of each record that ended ok."""
        found = {}
        for path in sorted((self.directory / "records").glob("*.json")):
            text = path.read_bytes()
            if self.store.find_finished(path.stem):
                found[path.name] = text
        return found

    def find_drafts(self) -> list[Path]:
        """Files whose writing was interrupted."""
        found = [path for path in self.directory.rglob("*") if path.suffix == ".draft"]
        return [path for path in found if ".probe" not in path.name]  # a probe is always empty

    def _line(self, pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            return ""


def restore_interrupt() -> None:
    """Restore SIGINT where a shell ignores it for background jobs; the runs would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def install_plugin(site: Path) -> str:
    """Make a folder that installs the method `faulty`; return the search path for it."""
    info = site / "harness_fault_plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-fault-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.methods]\nfaulty = harness_fault_plugin:Faulty\n")
    return f"{PLUGIN}{os.pathsep}{site}"


def find_children(pid: int) -> list[int]:
    """Ids of a process's children."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextlib.contextmanager
def mount_file_system(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system at a folder. Raises `OSError` where this process may not mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"no file system can be mount_file_system here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def limit_memory(limit: int) -> Iterator[tuple[str, ...]]:
    """A command prefix that limits memory by a control group. Raises `OSError` where there are no control groups."""
    root = Path("/sys/fs/cgroup")
    second = (root / "cgroup.controllers").is_file()
    group = root / ("" if second else "memory") / f"harness-fault-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        (group / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit))
        yield "sh", "-c", f'echo $$ > {group / "cgroup.procs"} && exec "$@"', "sh"
    finally:
        deadline = time.monotonic() + DYING_SECONDS
        while group.is_dir():
            try:
                group.rmdir()
            except OSError:  # its processes have not all disappeared yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _reset_signals() -> None:
    """Restore signals that `nohup` or a shell ignores for background jobs; the runs would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)

"""Workers that flood, fork, hang, end without an outcome or send nonsense: each fails its own trial and no other."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def name_faulty(tmp_path: Path, fault: str) -> str:
    """The name of the variant that has a fault the first time."""
    return f"faulty[fault={fault},once={tmp_path / 'once'}]"


def read_record_of(run, fault):
    """The record of the variant with the fault; all other trials must have ended ok."""
    records = run.read_records()
    assert records["base"].ok
    assert records["toy"].ok
    return records[f"faulty[fault={fault},once={run.directory.parent / 'once'}]"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("exit", "ended with exit code 0 and no outcome"),
        ("garbage", "ended with exit code 3 and no outcome"),
        ("lies", "outcome is not valid: status has a value of the wrong kind"),
    ],
)
def test_a_worker_that_talks_nonsense_or_not_at_all(prepare, figures, tmp_path, fault, said):
    run = prepare(f"{name_faulty(tmp_path, fault)},toy", "--budget", "steps=5")
    assert run.finish() == 1, run.printed
    figures.faults[f"worker: {fault}"] += 1
    record = read_record_of(run, fault)
    assert record.status == "error"
    assert said in record.message
    assert record.phase == "train"
    assert record.log
    assert "Traceback" not in run.printed
    assert run.finish() == 0, run.printed
    assert read_record_of(run, fault).ok


def test_a_worker_that_hangs_in_c_code(prepare, figures, tmp_path):
    run = prepare(f"{name_faulty(tmp_path, 'hang')},toy", "--budget", "steps=5")
    first = prepare("toy", "--budget", "steps=5", directory=run.directory)  # the other trials, without a time limit
    assert first.finish() == 0
    start = 1 + 2 * max(record.metrics["total_seconds"] for record in first.read_records().values())
    started = time.monotonic()
    assert run.finish("--trial-timeout", str(start)) == 1, run.printed
    assert time.monotonic() - started < start + 10  # including the time it has to end in order
    figures.faults["worker: hang"] += 1
    record = read_record_of(run, "hang")
    assert record.status == "timeout"
    assert record.phase == "train"
    assert run.finish() == 0, run.printed


HELD = 32 << 20
"""Bytes that a process may need more than in a quiet run; a flood is many times as long."""


@pytest.mark.parametrize("fault", ["flood", "babble"])
def test_a_worker_that_says_too_much(prepare, figures, tmp_path, fault):
    # What a process imports is no part of what it holds of a flood: pandas alone, for the reports, takes some 70 MB.
    quiet = watch_peaks(prepare("toy", "--budget", "steps=5"))
    run = prepare(f"{name_faulty(tmp_path, fault)},toy", "--budget", "steps=5")
    flooded = watch_peaks(run)
    figures.faults[f"worker: {fault}"] += 1
    log = run.directory / read_record_of(run, fault).log
    assert log.stat().st_size < 40 << 20
    assert (b"bytes of output left out here" in log.read_bytes()) == (fault == "flood")
    assert 0 < flooded["parent"] < quiet["parent"] + HELD
    assert 0 < flooded["supervisor"] < quiet["supervisor"] + HELD
    assert flooded["supervisor"] < 64 << 20


def watch_peaks(run) -> dict[str, int]:
    """Carry a run out; the peak memory of its parent and of its supervisors, in bytes."""
    peaks: dict[str, list[int]] = {"parent": [0], "supervisor": [0]}
    with run.start() as process:
        while process.poll() is None:
            for who, pid in (("parent", process.pid), ("supervisor", run.find_supervisor(process.pid))):
                peaks[who].append(peak_bytes(pid) if pid else 0)
            time.sleep(0.02)
        assert run.end(process) == 0, run.printed
    return {who: max(found) for who, found in peaks.items()}


def peak_bytes(pid: int) -> int:
    """The peak memory of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("who", [None, "worker", "supervisor", "parent"])
def test_a_worker_that_starts_others(prepare, figures, tmp_path, who):
    run = prepare(
        f"{name_faulty(tmp_path, 'fork')},toy", "--set", "faulty.seconds_per_step=0.02", "--budget", "steps=40"
    )
    with run.start() as process:
        found: dict[int, str] = {}
        # With the parent: supervisor, worker, two sleepers, a daemon, all seen at once.
        while sum(line.startswith("sleep") for line in found.values()) < 2 or len(found) < 6:
            assert process.poll() is None, run.printed
            time.sleep(0.01)
            found = run.find_processes()
        of_trial = set(found) - {process.pid}
        if who:
            os.kill(process.pid if who == "parent" else getattr(run, f"find_{who}")(process.pid), signal.SIGKILL)
        figures.faults["worker: fork" + (f", and SIGKILL of the {who}" if who else "")] += 1
        code = run.end(process)
    assert len(of_trial) >= 5
    assert code == {None: 0, "parent": -signal.SIGKILL}.get(who, 1), run.printed
    assert not run.find_leftovers()
    assert run.finish() == 0, run.printed


def test_a_worker_that_is_killed_from_outside(prepare, figures):
    run = prepare("toy", "--set", "toy.seconds_per_step=0.05", "--budget", "steps=40")
    with run.start() as process:
        run.wait_for("train", process)
        os.kill(run.find_worker(process.pid), signal.SIGKILL)
        assert run.end(process) == 1
    figures.faults["SIGKILL of the worker in training"] += 1
    record = run.read_records()["toy[seconds_per_step=0.05]"]
    assert record.status == "error"
    assert "from outside" in record.message


def test_the_parent_uses_no_cpu_while_a_trial_runs(prepare):
    run = prepare("toy", "--set", "toy.seconds_per_step=0.05", "--budget", "steps=70")
    with run.start() as process:
        run.wait_for("train", process)
        before = cpu_seconds(process.pid)
        time.sleep(3)
        used = cpu_seconds(process.pid) - before
        assert run.end(process) == 0
    assert used < 0.1


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

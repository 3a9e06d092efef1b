"""Full disks, unwritable directories, files that are not records, clocks that jump, two runs at once."""

from __future__ import annotations

import contextlib
import csv
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from .rig import MACHINE, mount_file_system

pytestmark = pytest.mark.slow
SLOW = ("--set", "toy.seconds_per_step=0.02", "--budget", "steps=100")
TOY = "toy[seconds_per_step=0.02]"
DAY = 86_400


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(mount_file_system(tmp_path / "disk", "2m"))
        except OSError as error:
            pytest.skip(str(error))
        yield tmp_path / "disk"


def fill(path: Path) -> None:
    """Write to a file until the disk is full."""
    with path.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 512)


@pytest.mark.parametrize("moment", ["before the start", "in training"])
def test_a_disk_that_is_full(prepare, figures, small_disk, moment):
    run = prepare("toy", *SLOW, directory=small_disk / "run")
    run.output = small_disk.with_name("output")  # elsewhere
    filler = small_disk / "filler"
    if moment == "before the start":
        fill(filler)
    with run.start() as process:
        if moment == "in training":
            run.wait_for("train", process)
            fill(filler)
        whole = run.read_finished()
        code = run.end(process)
    figures.faults[f"disk full {moment}"] += 1
    assert code in (1, 2), run.printed
    assert "No space left on device" in run.printed
    assert "Traceback" not in run.printed
    assert len(whole) == (moment == "in training")
    assert run.read_finished() == whole
    filler.unlink()
    assert run.finish() == 0, run.printed
    assert whole.items() <= run.read_finished().items()
    assert set(run.read_records()) == {"base", TOY}
    assert not run.find_drafts()


def test_a_limit_on_the_size_of_files(prepare, figures):
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit here")
    run = prepare("toy", "--budget", "steps=5")
    assert run.finish(prefix=("prlimit", "--fsize=2500")) == 1, run.printed
    figures.faults["limit on the size of files"] += 1
    assert "File too large" in run.printed
    assert "Traceback" not in run.printed
    assert run.read_records() == {}
    assert run.finish() == 0, run.printed
    assert not run.find_drafts()


def test_a_disk_that_is_full_for_what_is_printed(prepare, figures):
    run = prepare("toy", "--budget", "steps=5")
    run.output = Path("/dev/full")
    assert run.finish() == 0  # its output is lost, its records are not
    figures.faults["output to a full disk"] += 1
    assert not run.find_leftovers()
    assert set(run.read_records()) == {"base", "toy"}


def test_a_directory_that_cannot_be_written(prepare, figures, small_disk):
    run = prepare("toy,toy[learning_rate=0.1]", "--budget", "steps=5", directory=small_disk / "run")
    first = prepare("toy", "--budget", "steps=5", directory=small_disk / "run")
    for each in (run, first):
        each.output = small_disk.with_name("output")
    assert first.finish() == 0
    whole = first.read_finished()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert run.finish() == 2
    figures.faults["read-only directory"] += 1
    assert "cannot be written (Read-only file system); choose another --out" in run.printed
    assert run.printed.count("\n") == 1
    assert run.read_finished() == whole
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert run.finish() == 0, run.printed
    assert whole.items() <= run.read_finished().items()


def test_a_file_in_the_place_of_the_directory(prepare, figures, tmp_path):
    (tmp_path / "taken").write_text("mine")
    run = prepare("toy", directory=tmp_path / "taken")
    assert run.finish() == 2
    figures.faults["file in the place of the directory"] += 1
    assert "choose another --out" in run.printed
    assert run.printed.count("\n") == 1
    assert (tmp_path / "taken").read_text() == "mine"


def test_files_that_are_no_records(prepare, figures):
    run = prepare("toy,toy[learning_rate=0.1]", "--budget", "steps=5")
    assert run.finish() == 0
    whole, records = run.read_finished(), run.directory / "records"
    hurt = records / f"{run.read_records()['toy'].trial_id}.json"
    other = records / f"{run.read_records()['base'].trial_id}.json"
    hurt.write_bytes(whole[hurt.name][: len(whole[hurt.name]) // 2])
    (records / "notes.json").write_text('{"buy": "milk"}')
    (records / f"{'0' * 16}.json").write_bytes(other.read_bytes())
    figures.faults["truncated or foreign file among the records"] += 3
    assert run.finish() == 0, run.printed
    assert run.printed.count("set aside: ") == 3
    assert "truncated" in run.printed
    assert {path.name for path in (run.directory / "set-aside").iterdir()} == {
        hurt.name,
        "notes.json",
        f"{'0' * 16}.json",
    }
    assert {name: text for name, text in run.read_finished().items() if name != hurt.name} == {
        name: text for name, text in whole.items() if name != hurt.name
    }
    assert len(run.read_finished()) == 3


def test_two_runs_at_once_on_one_directory(prepare, figures):
    run = prepare("toy", *SLOW)
    other = prepare("toy", *SLOW, directory=run.directory)
    other.output = run.output.with_name("other")
    for wait in (0.0, 0.0, 0.5):
        with run.start("--rerun", "all") as first:
            time.sleep(wait)
            with other.start() as second:
                codes = sorted((run.end(first), other.end(second)))
        figures.faults["two runs at once"] += 1
        assert codes == [0, 2], (run.printed, other.printed)
        said = [text for text in (run.printed, other.printed) if "another process is working in" in text]
        assert len(said) == 1
        assert said[0].count("\n") == 1
        assert set(run.read_records()) == {"base", TOY}
    with (run.directory / "leaderboard.csv").open(newline="") as stream:
        assert sorted(row["variant"] for row in csv.DictReader(stream)) == ["base", TOY]


def test_a_clock_that_jumps(prepare, figures, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("0")
    run = prepare(
        *("toy", "--set", "toy.seconds_per_step=0.02", "--budget", "minutes=0.06", "--trial-timeout", "600"),
        search=str(MACHINE),
        HARNESS_FAULT_CLOCK=str(clock),
    )
    with run.start() as process:
        run.wait_for("train", process)
        started = time.monotonic()
        for jump in (DAY, -DAY, 0.5 * DAY):
            time.sleep(0.7)
            replaced = clock.with_suffix(".new")
            replaced.write_text(str(jump))
            replaced.replace(clock)
            figures.faults["jump of the clock"] += 1
        assert run.end(process) == 0, run.printed
        passed = time.monotonic() - started
    record = run.read_records()[TOY]
    assert record.ok
    times = [record.metrics[f"{name}_seconds"] for name in ("load", "train", "evaluate", "total")]
    assert all(0 <= seconds < passed + 60 for seconds in times)
    assert 3.5 < record.metrics["train_seconds"] < passed + 1
    assert all(phase.seconds >= 0 for phase in record.phases.values())
    assert all(value is None or value >= 0 for value in record.metrics.values() if value is not None)
    began, ended = (datetime.fromisoformat(text) for text in (record.started_at, record.finished_at))
    assert (ended - began).total_seconds() > 0.4 * DAY  # the clock did jump, in worker and parent alike
    assert run.finish() == 0
    assert run.read_records()[TOY] == record


def test_what_reads_the_output_goes_away(prepare, figures):
    run = prepare("toy", "--budget", "steps=5")
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(run.command, **pipe, env=run.environment) as gone:
        gone.stdout.readline()
        gone.stdout.close()
        assert gone.wait(60) == 0
    figures.faults["reader of the output goes away"] += 1
    assert {name: record.status for name, record in run.read_records().items()} == {"base": "ok", "toy": "ok"}

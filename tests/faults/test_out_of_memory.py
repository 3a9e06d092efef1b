"""Memory that really runs out: under a limit on the process, and by the kernel's OOM killer in a control group."""

from __future__ import annotations

import contextlib
import csv
import shutil

import pytest

from .rig import limit_memory

pytestmark = pytest.mark.slow
LIMIT = 1100 << 20
"""Limit on data memory; PyTorch alone takes 450 MiB, training at batch 8 600 to 700, at batch 64 about 1600."""
SMALL = ("--train-examples", "64", "--validation-examples", "8", "--test-examples", "8", "--budget", "steps=2")


@pytest.fixture
def limited():
    """A function that gives a command prefix which limits the data memory of each process."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit here")
    return lambda limit: ("prlimit", f"--data={limit}")


def read_rows(run) -> dict[str, dict[str, str]]:
    with (run.directory / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return {row["variant"]: row for row in csv.DictReader(stream)}


def test_a_worker_that_takes_all_there_is(prepare, figures, limited):
    run = prepare("faulty[fault=memory],toy", "--budget", "steps=5")
    assert run.finish(prefix=limited(512 << 20)) == 1, run.printed
    figures.faults["out of memory under a limit"] += 1
    status = {name: record.status for name, record in run.read_records().items()}
    assert status == {"base": "ok", "faulty[fault=memory]": "oom", "toy": "ok"}


def test_training_that_has_no_room_leaves_a_row_while_the_others_finish(prepare, figures, limited):
    run = prepare("lora[r=16384],prefix", *SMALL, model="embedded")
    assert run.finish(prefix=limited(LIMIT)) == 1, run.printed
    figures.faults["out of memory in real training"] += 1
    record = run.read_records()["lora[r=16384]"]
    assert record.status == "oom", record.message
    assert record.message.startswith("out of memory")
    status = {name: row["status"] for name, row in read_rows(run).items()}
    assert status == {"base": "ok", "prefix": "ok", "lora[r=16384]": "oom"}


def test_half_the_batch_where_the_whole_has_no_room(prepare, figures, limited):
    run = prepare("prefix", *SMALL, "--batch-size", "64", "--on-oom", "halve-batch", model="embedded")
    assert run.finish(prefix=limited(LIMIT)) == 0, run.printed
    figures.faults["out of memory in real training"] += 1
    record = run.read_records()["prefix"]
    assert record.ok
    smaller = record.details["smaller_batches"]
    assert smaller["tried"][0]["batch_size"] == 64
    used = smaller["used"]
    assert used["batch_size"] <= 32
    assert used["batch_size"] * used["accumulation"] == 64
    assert record.training["examples"] == 128  # two steps of the effective batch that was asked for
    assert "64" in (run.directory / "leaderboard.md").read_text()


def test_the_kernels_oom_killer(prepare, figures, tmp_path):
    run = prepare(f"faulty[fault=memory,once={tmp_path / 'once'}],toy", "--budget", "steps=5")
    with contextlib.ExitStack() as stack:
        try:
            prefix = stack.enter_context(limit_memory(384 << 20))
        except OSError as error:
            pytest.skip(f"no control group with a limit on memory can be made here: {error}")
        assert run.finish(prefix=prefix) == 1, run.printed
    figures.faults["kernel's OOM killer"] += 1
    record = run.read_records()[f"faulty[fault=memory,once={tmp_path / 'once'}]"]
    assert record.status == "oom"
    assert "the kernel's OOM killer ended the worker: its control group ran out of memory" in record.message
    assert run.read_records()["toy"].ok
    assert run.finish() == 0, run.printed

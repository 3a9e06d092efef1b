"""Memory that really runs out: under a limit on the process, and by the kernel's OOM killer in a control group."""

from __future__ import annotations

import contextlib
import csv
import shutil

import pytest

from .rig import memory_limited

pytestmark = pytest.mark.slow
LIMIT = 1100 << 20
"""Of data; PyTorch alone takes 450 MiB, training at batch 8 from 600 to 700, at batch 64 about 1600."""
SMALL = ("--train-examples", "64", "--validation-examples", "8", "--test-examples", "8", "--budget", "steps=2")


@pytest.fixture
def limited():
    """The start of a command line whose processes may have so many bytes of data each."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit here")
    return lambda limit: ("prlimit", f"--data={limit}")


def rows(run) -> dict[str, dict[str, str]]:
    with (run.directory / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return {row["variant"]: row for row in csv.DictReader(stream)}


def test_a_worker_that_takes_all_there_is(prepare, figures, limited):
    run = prepare("faulty[fault=memory],toy", "--budget", "steps=5")
    assert run.finish(prefix=limited(512 << 20)) == 1, run.said
    figures.faults["out of memory under a limit"] += 1
    status = {name: record.status for name, record in run.records().items()}
    assert status == {"base": "ok", "faulty[fault=memory]": "oom", "toy": "ok"}


def test_training_that_has_no_room_leaves_a_row_while_the_others_finish(prepare, figures, limited):
    run = prepare("lora[r=16384],prefix", *SMALL, model="embedded")
    assert run.finish(prefix=limited(LIMIT)) == 1, run.said
    figures.faults["out of memory in real training"] += 1
    record = run.records()["lora[r=16384]"]
    assert record.status == "oom", record.message
    assert record.message.startswith("out of memory")
    status = {name: row["status"] for name, row in rows(run).items()}
    assert status == {"base": "ok", "prefix": "ok", "lora[r=16384]": "oom"}


def test_half_the_batch_where_the_whole_has_no_room(prepare, figures, limited):
    run = prepare("prefix", *SMALL, "--batch-size", "64", "--on-oom", "halve-batch", model="embedded")
    assert run.finish(prefix=limited(LIMIT)) == 0, run.said
    figures.faults["out of memory in real training"] += 1
    record = run.records()["prefix"]
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
            prefix = stack.enter_context(memory_limited(384 << 20))
        except OSError as error:
            pytest.skip(f"no control group with a limit on memory can be made here: {error}")
        assert run.finish(prefix=prefix) == 1, run.said
    figures.faults["kernel's OOM killer"] += 1
    record = run.records()[f"faulty[fault=memory,once={tmp_path / 'once'}]"]
    assert record.status == "oom"
    assert "the kernel's OOM killer ended the worker: its control group ran out of memory" in record.message
    assert run.records()["toy"].ok
    assert run.finish() == 0, run.said

"""Kills and interruptions at random moments, through the real command line."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest

from .storm import run_storm

pytestmark = pytest.mark.slow
FAULTS = 200
TRAINING = (
    *("--train-examples", "60", "--validation-examples", "8", "--test-examples", "8"),
    *("--budget", "steps=12", "--checkpoint-every", "steps=2"),
)


@pytest.mark.timeout(3000)  # minutes where nothing else runs, many of them where something does
def test_a_storm_of_kills_and_interruptions(tmp_path, figures):
    found = run_storm(tmp_path, seed=4, faults=FAULTS)
    found.seconds = 0.0  # the fixture measures it
    figures.add(found)
    assert found.clean, "\n".join(found.format_lines())
    assert found.faults.total() >= FAULTS
    assert found.writing >= 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_in_order(prepare, figures, number):
    run = prepare("toy", "--set", "toy.seconds_per_step=0.02", "--budget", "steps=150")
    with run.start() as process:
        run.wait_for("train", process)
        whole = run.read_finished()
        process.send_signal(number)
        code = run.end(process)
    figures.faults[f"{number.name} in training"] += 1
    assert code == 130, run.printed
    assert whole
    assert run.read_finished() == whole
    assert run.read_records()["toy[seconds_per_step=0.02]"].status == "interrupted"
    assert "to resume: python -m harness run --model toy" in run.printed
    assert "Traceback" not in run.printed
    assert "interrupted" in (run.directory / "leaderboard.md").read_text()
    assert run.finish() == 0
    assert {record.status for record in run.read_records().values()} == {"ok"}


def test_a_terminal_that_goes_away_under_nohup(prepare, figures):
    run = prepare("toy", "--set", "toy.seconds_per_step=0.01", "--budget", "steps=100")
    with run.start(prefix=("nohup",)) as process:
        run.wait_for("train", process)
        process.send_signal(signal.SIGHUP)
        assert run.end(process) == 0, run.printed
    figures.faults["SIGHUP under nohup"] += 1
    assert run.read_records()["toy[seconds_per_step=0.01]"].ok


def test_two_signals_end_at_once_even_what_hangs(prepare, figures, tmp_path):
    run = prepare(f"faulty[fault=hang,once={tmp_path / 'once'}]")
    with run.start() as process:
        run.wait_for("train", process)
        time.sleep(0.3)
        whole = run.read_finished()
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None  # it is given time to end in order
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = run.end(process)
    figures.faults["SIGINT twice while a worker hangs"] += 1
    assert time.monotonic() - started < 3
    assert code == 130
    assert not run.find_leftovers()
    assert run.read_finished() == whole
    assert run.finish() == 0


def test_a_start_right_after_a_kill(prepare, figures):
    run = prepare("toy,toy[learning_rate=0.1]", "--set", "toy.seconds_per_step=0.01", "--budget", "steps=60")
    for more in ((), ("--rerun", "all")):
        with run.start(*more) as process:
            run.wait_for("train", process)
            process.kill()
        figures.faults["SIGKILL of the parent, and a start at once"] += 1
        assert run.finish() == 0, (more, run.printed)
        assert len(run.read_finished()) == 3


def test_kills_in_real_training(prepare, figures):
    whole, run = (prepare("lora", *TRAINING, model="embedded") for _ in range(2))
    assert whole.finish() == 0, whole.printed
    unharmed = whole.read_records()
    base = whole.store.directory / "records" / f"{unharmed['base'].trial_id}.json"
    (run.directory / "records").mkdir(parents=True)
    shutil.copy(base, run.directory / "records")
    moments = random.Random(4)
    for who in ("parent", "worker", "supervisor"):
        with run.start() as process:
            run.wait_for("train", process)
            time.sleep(moments.uniform(0.3, 0.8) * unharmed["lora"].metrics["train_seconds"])
            target = process.pid if who == "parent" else getattr(run, f"find_{who}")(process.pid)
            if target and process.poll() is None:
                os.kill(target, signal.SIGKILL)
                figures.faults[f"SIGKILL of the {who} in real training"] += 1
            run.end(process)
        assert not run.find_leftovers()
        assert base.read_bytes() == (run.directory / "records" / base.name).read_bytes()
    assert run.finish() == 0, run.printed
    harmed = run.read_records()
    assert {name: record.status for name, record in harmed.items()} == {"base": "ok", "lora": "ok"}
    assert harmed["lora"].details["resumed"]["times"] >= 1
    assert harmed["lora"].metrics["heldout_loss"] == unharmed["lora"].metrics["heldout_loss"]
    assert not run.find_drafts()
    assert not list((run.directory / "checkpoints").glob("*"))

"""Running the same command again, and interrupting a run; through the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.records.store import RunStore

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
TOY = ["run", "--model", "toy", "--task", "toy", "--budget", "steps=5", "--out", "out"]


def start_run(*arguments: str, cwd: Path) -> subprocess.Popen:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "harness", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=cwd, env=environment, **pipes, text=True, preexec_fn=reset_signals)


def reset_signals() -> None:
    """Restore signals that `nohup` or a shell ignores for background jobs; children would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def harness(run_here):
    """A function that runs a command line in this process and returns exit code, output and errors."""

    def harness(*arguments: str, cwd: Path) -> tuple[int, str, str]:
        done = run_here(*arguments, cwd=cwd)
        return done.returncode, done.stdout, done.stderr

    return harness


def read_records(directory: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in (directory / "records").glob("*.json")]
    return {record["variant"]: record for record in found}


def read_end_times(directory: Path) -> dict[str, str]:
    return {name: record["finished_at"] for name, record in read_records(directory).items()}


def test_rerun_all_makes_new_records_and_keeps_the_old_ones(harness, tmp_path):
    harness(*TOY, "--methods", "toy", cwd=tmp_path)
    before = {path.name: path.read_text() for path in (tmp_path / "out" / "records").iterdir()}
    code, out, _ = harness(*TOY, "--methods", "toy", "--rerun", "all", cwd=tmp_path)
    assert code == 0
    assert "finished earlier" not in out
    assert {path.name: path.read_text() for path in (tmp_path / "out" / "superseded").iterdir()} == before
    assert set(read_records(tmp_path / "out")) == {"base", "toy"}


def test_rerun_of_one_trial_leaves_the_others(harness, tmp_path):
    harness(*TOY, "--methods", "toy", cwd=tmp_path)
    trial = read_records(tmp_path / "out")["toy"]["trial_id"]
    code, out, _ = harness(*TOY, "--methods", "toy", "--rerun", trial, cwd=tmp_path)
    assert code == 0
    assert "base: ok" in out
    assert out.count("finished earlier") == 1
    assert [path.stem for path in (tmp_path / "out" / "superseded").iterdir()] == [trial]


@pytest.mark.parametrize(
    ("wanted", "said"), [("some", "must be failed, all, or the id"), ("0" * 16, "no such trial; its trials are")]
)
def test_a_rerun_of_an_unknown_trial_is_refused(harness, tmp_path, wanted, said):
    code, _, err = harness(*TOY, "--methods", "toy", "--rerun", wanted, cwd=tmp_path)
    assert code == 2
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_failed_trials_run_again_and_damaged_records_are_set_aside(harness, tmp_path):
    harness(*TOY, "--methods", "toy[ending=error],toy", cwd=tmp_path)
    out = tmp_path / "out"
    path = out / "records" / (read_records(out)["toy"]["trial_id"] + ".json")
    path.write_text(path.read_text()[:100])
    (out / "records" / "notes.json").write_text("{}")
    code, said, _ = harness(*TOY, "--methods", "toy[ending=error],toy", cwd=tmp_path)
    assert code == 1
    assert said.count("set aside: ") == 2
    assert said.count("finished earlier") == 1  # the base
    assert read_records(out)["toy"]["status"] == "ok"
    assert {file.name for file in (out / "set-aside").iterdir()} == {path.name, "notes.json"}


def test_out_of_memory_is_retried_with_smaller_batches_where_asked(harness, tmp_path):
    arguments = [*TOY, "--methods", "toy[ending=oom],toy", "--batch-size", "6", "--accumulation", "2"]
    code, _, _ = harness(*arguments, "--on-oom", "halve-batch", cwd=tmp_path)
    assert code == 1
    failed, other = (read_records(tmp_path / "out")[name] for name in ("toy[ending=oom]", "toy"))
    assert (failed["status"], other["status"]) == ("oom", "ok")
    told = failed["details"]["smaller_batches"]
    sizes = [(one["batch_size"], one["accumulation"]) for one in [*told["tried"], told["used"]]]
    assert sizes == [(6, 2), (3, 4), (1, 12)]  # the effective batch stays 12
    assert (failed["training"]["batch_size"], failed["training"]["accumulation"]) == (6, 2)
    page = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "batches of 1 × 12 accumulated" in page
    log = tmp_path / "out" / failed["log"]
    assert log.read_text().count("MemoryError") == 3
    assert failed["log"] in page


SLOW = [*TOY, "--methods", "toy,toy[learning_rate=0.1]", "--set", "toy.seconds_per_step=0.4"]


def wait_for_training(process: subprocess.Popen) -> None:
    """Wait until a worker is in training."""
    while process.stdout.readline().strip() != "train":
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_the_run_in_order(harness, tmp_path, number):
    process = start_run(*SLOW, cwd=tmp_path)
    wait_for_training(process)  # the base is done
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "leaderboard.md" in out
    assert err.startswith("interrupted; to resume: python -m harness run --model toy")
    found = read_records(tmp_path / "out")
    assert {record["status"] for record in found.values()} == {"ok", "interrupted"}
    assert len(found) == 2  # the last trial was not begun
    before = found["base"]["finished_at"]
    code, out, _ = harness(*SLOW, cwd=tmp_path)
    assert code == 0
    assert out.count("finished earlier") == 1
    assert len(read_records(tmp_path / "out")) == 3
    assert read_records(tmp_path / "out")["base"]["finished_at"] == before


def test_a_second_signal_ends_the_run_at_once(tmp_path):
    slow = [*TOY, "--methods", "toy", "--set", "toy.seconds_per_step=600"]
    process = start_run(*slow, cwd=tmp_path)
    wait_for_training(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # so that the two signals are handled separately
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert time.monotonic() - asked < 10
    assert "to resume" in err
    assert {record["status"] for record in read_records(tmp_path / "out").values()} == {"ok", "interrupted"}


def test_the_resume_command_leaves_out_rerun():
    from harness.cli.run_command import build_resume_command

    given = ["run", "--rerun", "all", "--methods", "lora", "--rerun=failed"]
    assert build_resume_command(given) == "python -m harness run --methods lora"


def test_an_interrupted_rerun_resumes_with_the_remaining_trials(harness, tmp_path):
    out = tmp_path / "out"
    assert harness(*SLOW, cwd=tmp_path)[0] == 0
    before = read_end_times(out)
    process = start_run(*SLOW, "--rerun", "all", cwd=tmp_path)
    while len(RunStore(out).read_rerun_list()) != 2:  # until the base has run again
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=30)
    assert set(read_end_times(out)) == set(before)  # records stay until their trials have run again
    code, said, _ = harness(*SLOW, cwd=tmp_path)
    assert code == 0
    assert said.count("finished earlier") == 1  # the base, and only it
    assert len(list((out / "superseded").iterdir())) == 3


def test_a_signal_to_every_process_ends_the_run_in_order(tmp_path):
    import psutil

    process = start_run(*SLOW, cwd=tmp_path)
    assert process.stdout is not None
    while "step 1 " not in process.stdout.readline():  # the worker is in training
        pass
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(family) == 3  # parent, supervisor, worker
    for member in family:
        member.terminate()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    interrupted = next(r for r in read_records(tmp_path / "out").values() if r["status"] == "interrupted")
    assert interrupted["message"] == "interrupted; the same command resumes"
    assert "train" in interrupted["phases"]  # the worker could still tell what it had measured
    assert "| base" in out  # the leaderboard of the finished trials


def test_a_closed_output_pipe_does_not_end_the_run(tmp_path):
    process = start_run(*TOY, "--methods", "toy", cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == "warning: the output cannot be written (Broken pipe); the run goes on without it\n"
    assert {record["status"] for record in read_records(tmp_path / "out").values()} == {"ok"}


@pytest.mark.slow
def test_weights_that_are_not_finite_after_the_last_step_are_a_failure(harness, tmp_path):
    arguments = ["run", "--methods", "full", "--set", "full.learning_rate=1e30", "--budget", "steps=2", "--out", "out"]
    few = ["--train-examples", "16", "--validation-examples", "8", "--test-examples", "8"]
    code, _, _ = harness(*arguments, *few, cwd=tmp_path)
    assert code == 1
    assert read_records(tmp_path / "out")["full[learning_rate=1e+30]"]["status"] == "diverged"

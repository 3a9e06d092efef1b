"""The real command line, end to end: mostly with the torch-free toy model, and with the embedded models."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOY = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5"]


@pytest.fixture
def harness(run_here):
    """A function that runs the command line in this process; a few tests below start it as users do."""

    def harness(*arguments: str, cwd: Path, check: int = 0):
        done = run_here(*arguments, cwd=cwd)
        assert done.returncode == check, done.stdout + done.stderr
        return done

    return harness


def run_in_processes(*arguments: str, cwd: Path) -> None:
    """Run the command line as users do, each trial in a process of its own."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "harness", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read_records(directory: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((directory / "records").glob("*.json"))]


def test_a_run_leaves_records_predictions_logs_and_reports(harness, tmp_path):
    done = harness(*TOY, "--seeds", "0,1", "--out", "out", cwd=tmp_path)
    out = tmp_path / "out"
    assert sorted((record["variant"], record["seed"]) for record in read_records(out)) == [
        ("base", 0),
        ("toy", 0),
        ("toy", 1),
    ]
    assert {path.suffix for path in out.glob("leaderboard.*")} == {".md", ".csv", ".html"}
    rows = list(csv.DictReader((out / "records.csv").open()))
    assert len(rows) == 3
    for record in read_records(out):
        assert record["status"] == "ok"
        lines = (out / "predictions" / f"{record['trial_id']}.jsonl").read_text().splitlines()
        assert len(lines) == record["task"]["examples"]["test"]
        assert (out / "logs" / f"{record['trial_id']}.log").exists()
    assert "leaderboard.md" in done.stdout


def test_the_same_command_again_runs_nothing_and_changes_nothing(harness, tmp_path):
    harness(*TOY, "--out", "out", cwd=tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    done = harness(*TOY, "--out", "out", cwd=tmp_path)
    assert "finished earlier" in done.stdout
    after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert before == after


def test_flags_that_are_added_later_update_finished_trials(harness, tmp_path):
    harness(*TOY, "--out", "out", cwd=tmp_path)
    out = tmp_path / "out"
    seconds = {record["trial_id"]: record["metrics"]["total_seconds"] for record in read_records(out)}
    assert all(record["metrics"]["cost"] is None for record in read_records(out))

    # A price needs no new run: the cost follows from the measured time.
    done = harness(*TOY, "--out", "out", "--price-per-hour", "3.6", cwd=tmp_path)
    assert done.stdout.count("finished earlier") == 2
    assert {r["trial_id"]: r["metrics"]["cost"] for r in read_records(out)} == pytest.approx(
        {trial: total / 1000 for trial, total in seconds.items()}
    )

    # A model that was not kept must be trained again, once.
    assert not list(out.glob("artifacts/*"))
    done = harness(*TOY, "--out", "out", "--save-models", cwd=tmp_path)
    assert "finished earlier" not in done.stdout
    assert {path.name for path in out.glob("artifacts/*")} == set(seconds)
    assert harness(*TOY, "--out", "out", "--save-models", cwd=tmp_path).stdout.count("finished earlier") == 2


def test_report_makes_the_same_bytes_again(harness, tmp_path):
    harness(*TOY, "--out", "out", cwd=tmp_path)
    reports = [path for path in (tmp_path / "out").iterdir() if path.name.startswith(("leaderboard", "records."))]
    before = {path.name: path.read_bytes() for path in reports}
    assert len(before) == 4
    for path in reports:
        path.unlink()
    harness("report", "out", cwd=tmp_path)
    assert {path.name: path.read_bytes() for path in reports} == before


def test_trials_of_different_budgets_share_a_leaderboard_only_if_asked(harness, tmp_path):
    harness(*TOY, "--out", "out", cwd=tmp_path)
    longer = [*TOY[:-1], "steps=6", "--out", "out"]
    assert "cannot be compared" not in harness(*longer, cwd=tmp_path).stdout
    assert "budget.amount" in harness(*longer, "--allow-mixed", cwd=tmp_path).stdout
    table = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "toy (steps=5)" in table
    assert "toy (steps=6)" in table


def test_a_failed_trial_keeps_its_row_and_does_not_stop_others(harness, tmp_path):
    done = harness(*TOY[:-4], "--methods", "toy[ending=error],toy", "--out", "out", cwd=tmp_path, check=1)
    statuses = {record["variant"]: record["status"] for record in read_records(tmp_path / "out")}
    assert statuses == {"base": "ok", "toy": "ok", "toy[ending=error]": "error"}
    assert "the toy was told to fail" in done.stdout
    assert "the toy was told to fail" in (tmp_path / "out" / "leaderboard.md").read_text()


def test_an_unsupported_method_is_a_row_and_loads_nothing(harness, tmp_path):
    harness(*TOY[:-4], "--methods", "lora,toy", "--out", "out", cwd=tmp_path, check=1)
    found = {record["variant"]: record for record in read_records(tmp_path / "out")}
    assert found["lora"]["status"] == "unsupported"
    assert "lora works on" in found["lora"]["message"]
    assert not (tmp_path / "out" / "logs" / f"{found['lora']['trial_id']}.log").exists()


def test_an_interruption_keeps_finished_trials_and_resumes(tmp_path):
    command = [*TOY[:-4], "--methods", "toy,toy[seconds_per_step=30]", "--out", "out"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "harness", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore this signal, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert parent.stdout is not None
    while parent.stdout.readline().strip() != "train" or len(read_records(tmp_path / "out")) < 2:  # the slow trial
        assert parent.poll() is None
    parent.send_signal(signal.SIGINT)
    output, errors = parent.communicate(timeout=90)  # a worker that does not react has 30 seconds
    assert parent.returncode == 130, output + errors
    assert "to resume: python -m harness run" in errors
    statuses = sorted(record["status"] for record in read_records(tmp_path / "out"))
    assert statuses == ["interrupted", "ok", "ok"]
    assert (tmp_path / "out" / "leaderboard.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "no methods given"),
        (["run", "--methods", "lroa"], "did you mean lora"),
        (["run", "--methods", "lora", "--set", "lora.rnk=3"], "no knob 'rnk'"),
        (["run", "--methods", "lora", "--task", "dialogsumm"], "did you mean dialogsum"),
        (["run", "--methods", "lora", "--model", "no-such-preset"], "no-such-preset"),
        (["run", "--methods", "lora", "--task", "file", "--data", "none.jsonl", "--input-field", "a",
          "--target-field", "b"], "none.jsonl"),
        (["run", "--methods", "lora", "--config", "none.yaml"], "the spec file none.yaml does not exist"),
        (["run", "--methods", "lora", "--tasks=toy"], "unknown flag --tasks (did you mean --task?)"),
        (["run", "--qwzx"], "unknown flag --qwzx; --help lists the flags"),
        (["run", "lora"], "unexpected argument 'lora'; --help lists the flags"),
        (["run", "--methods", "lora", "--set", "lora.learning_rate=inf"], "finite"),
        (["run", "--methods", "lora", "--trial-timeout", "nan"], "--trial-timeout must be a number above 0"),
        (["run", "--methods", "lora", "--model", ""], "--model is empty"),
        (["run", "--model", "toy", "--task", "toy", "--methods", "toy,toy[warmup=0.05]"], "are the same"),
        (["report", "nowhere"], "nowhere"),
        (["models", "pull", "no-such-preset"], "no-such-preset"),
    ],
)  # fmt: skip
def test_a_wrong_request_ends_with_2_and_one_sentence(harness, tmp_path, arguments, message):
    done = harness(*arguments, cwd=tmp_path, check=2)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(harness, tmp_path):
    done = harness("run", "--methods", "lroa", "--debug", cwd=tmp_path, check=2)
    assert "Traceback" in done.stderr


def test_flags_override_the_config_file(harness, tmp_path):
    (tmp_path / "spec.yaml").write_text("model: toy\ntask: toy\nmethods: [toy]\nbudget: {steps: 3}\nseeds: [0, 1]\n")
    harness("run", "--config", "spec.yaml", "--seeds", "5", "--out", "out", cwd=tmp_path)
    found = {record["variant"]: record for record in read_records(tmp_path / "out")}
    assert found["toy"]["seed"] == 5
    assert found["toy"]["training"]["steps"] == 3


@pytest.mark.slow
def test_the_main_job_on_the_embedded_model(tmp_path):
    """The README's first command with few steps and examples: every number exists and is consistent."""
    run_in_processes(
        *["run", "--methods", "full,instruction,lora,qlora,prefix", "--budget", "steps=12"],
        *["--test-examples", "8", "--out", "out"],
        cwd=tmp_path,
    )
    found = {record["variant"]: record for record in read_records(tmp_path / "out")}
    assert set(found) == {"base", "full", "instruction", "lora", "qlora", "prefix"}
    total = found["base"]["metrics"]["total_parameters"]
    for name, record in found.items():
        metrics = record["metrics"]
        assert record["status"] == "ok", record["message"]
        assert 0 <= metrics["rougeL"] <= 1
        assert metrics["heldout_loss"] > 0
        assert metrics["peak_host_bytes"] > 100 * 2**20
        assert metrics["peak_tensor_bytes"] > 0
        assert metrics["peak_device_allocated_bytes"] is None
        assert metrics["generated_tokens_per_second"] > 0
        if name != "base":
            assert record["training"]["steps"] == 12
            assert metrics["train_tokens_per_second"] > 0
            assert metrics["shipped_bytes"] > 0
            assert record["training"]["examples"] == 12 * 8
    assert found["base"]["metrics"]["trainable_parameters"] == 0
    assert found["full"]["metrics"]["trainable_parameters"] == total
    assert found["lora"]["metrics"]["total_parameters"] == total + found["lora"]["metrics"]["trainable_parameters"]
    assert found["qlora"]["metrics"]["total_parameters"] == found["lora"]["metrics"]["total_parameters"]
    assert found["qlora"]["metrics"]["shipped_bytes"] < found["full"]["metrics"]["shipped_bytes"] / 2
    # Twelve steps already teach something, and every method saw the same examples.
    assert found["full"]["metrics"]["heldout_loss"] < found["base"]["metrics"]["heldout_loss"]
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "serves to try the harness" in text
    assert "no accelerator" in text


@pytest.mark.slow
def test_the_embedded_encoder_decoder_model(harness, tmp_path):
    harness(
        *["run", "--model", "embedded-seq2seq", "--methods", "qlora,prefix", "--budget", "steps=6"],
        *["--test-examples", "8", "--general-text", "none", "--out", "out"],
        cwd=tmp_path,
    )
    found = {record["variant"]: record for record in read_records(tmp_path / "out")}
    assert {record["status"] for record in found.values()} == {"ok"}
    assert {record["model"]["family"] for record in found.values()} == {"encoder-decoder"}
    assert found["qlora"]["metrics"]["heldout_loss"] < found["base"]["metrics"]["heldout_loss"]


@pytest.mark.slow
@pytest.mark.own
def test_the_embedded_model_learns_with_the_default_budget(harness, tmp_path):
    """The base at most 0.35, the best method at least 0.65, in the default budget."""
    harness("run", "--methods", "full", "--test-examples", "100", "--out", "out", cwd=tmp_path)
    found = {record["variant"]: record["metrics"]["rougeL"] for record in read_records(tmp_path / "out")}
    assert found["base"] <= 0.35
    assert found["full"] >= 0.65


@pytest.mark.slow
@pytest.mark.parametrize("model", ["embedded", pytest.param("embedded-seq2seq", marks=pytest.mark.own)])
def test_learning_from_preferences_and_rewards(harness, tmp_path, model):
    """A few steps of the example in docs/rlhf.md: stages, metrics, files, report, and starting from another trial."""
    pairs = [
        {"prompt": f"#Person1#: Is shop {i} open?", "chosen": f"Shop {i} is open.", "rejected": "yes " * 8}
        for i in range(60)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    start, peft = ("lora", "lora") if model == "embedded" else ("instruction", "none")
    harness(
        *[
            "run",
            "--model",
            model,
            "--methods",
            f"{start},rlhf[start={start},peft={peft}],orpo",
            "--budget",
            "steps=30",
        ],
        *["--preferences", "pairs.jsonl", "--validation-examples", "16", "--test-examples", "8", "--out", "out"],
        *["--save-models", "--set", "rlhf.prompts=2", "--input-tokens", "64", "--target-tokens", "16"],
        cwd=tmp_path,
    )
    found = {record["method"]: record for record in read_records(tmp_path / "out")}
    assert set(found) == {"base", start, "rlhf", "orpo"}
    rlhf, orpo = found["rlhf"], found["orpo"]
    assert rlhf["details"]["warm_start"] == {"from": f"{start} seed 0", "trial_id": found[start]["trial_id"]}
    assert rlhf["metrics"]["pair_accuracy"] >= 0.9
    assert rlhf["metrics"]["policy_kl"] is not None
    assert rlhf["details"]["preferences"]["source"]["name"] == "pairs.jsonl"
    stages = {name: phase for name, phase in rlhf["phases"].items() if name.startswith("train.")}
    assert set(stages) == {
        f"train.{name}"
        for name in ("warm_start", "preferences", "reward_model", "held_out_start", "policy", "held_out_final")
    }
    assert all(phase["peak_tensor_bytes"] > 0 for phase in stages.values())
    assert sum(phase["seconds"] for phase in stages.values()) <= rlhf["phases"]["train"]["seconds"]
    assert orpo["metrics"]["preference_accuracy_final"] is not None
    left = tmp_path / "out" / "stages" / rlhf["trial_id"]
    assert {path.name for path in left.iterdir()} == {"pairs.jsonl", "samples.jsonl", "reward_model"}
    assert len((left / "samples.jsonl").read_text().splitlines()) == 2 * 16
    shipped = tmp_path / "out" / "artifacts" / rlhf["trial_id"]
    if peft == "lora":
        assert {path.name for path in shipped.iterdir()} >= {"adapter_model.safetensors"}
        assert not [path for path in shipped.iterdir() if path.is_dir()]  # neither reference nor reward model
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "Preference learning" in text
    assert "no human judged them" not in text  # these pairs were given
    assert (tmp_path / "out" / "reward-kl.svg").read_text().startswith("<svg")

"""Checkpoints of real trials: what a killed worker goes on from, what is not trusted, and how a SIGTERM ends one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.events import PhaseEvent, StageEvent, StepProgress
from harness.launchers.local import LocalLauncher
from harness.outcome import INTERRUPTED
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from harness.worker import tensor_file
from harness.worker.carried_state import CarriedState
from harness.worker.checkpoint import TrialCheckpoint
from harness.worker.stop_signal import Interrupted, StopSignal
from methods.types import Budget, State
from reports.records.details import CheckpointDetails

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
SMALL = {
    "train_examples": 60,
    "validation_examples": 8,
    "test_examples": 8,
    "input_tokens": 64,
    "target_tokens": 8,
    "general_text": "none",
}
MEASURED = ("seconds", "bytes", "per_second", "cost", "energy")
"""Parts of the names of metrics that differ from run to run; shipped bytes aside."""


CARRIED = CarriedState(
    started_at="2026-01-01T00:00:00+00:00",
    done={"steps": 3, "tokens": 30, "examples": 6},
    cut={"train": 1},
    meter={"total_seconds": 1.5},
    learning_curve={"points": []},
    metrics={"reward_accuracy": None},
    details={"pairs": 2},
)


def file_of(request) -> Path:
    return Path(request.places.checkpoint)


def shipped(request) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(request.places.artifacts).glob("*.safetensors")}


def test_the_record_of_a_resumed_trial_tells_the_whole_training(make_request, work):
    alone, killed = (make_request("lora[dropout=0.2]", name=name, general_text="embedded") for name in "ab")
    expected = work(alone)
    assert work(killed, 5) is None
    died = datetime.now(UTC).isoformat(timespec="seconds")
    assert work(killed, "evaluate") is None
    found = work(killed)
    assert (expected.status, found.status) == ("ok", "ok"), found.message
    assert shipped(found_request := killed) == shipped(alone) != {}
    assert Path(found_request.places.predictions).read_bytes() == Path(alone.places.predictions).read_bytes()
    assert found.done == expected.done
    assert found.cut == expected.cut
    assert found.curve == expected.curve
    assert [point["step"] for point in found.curve] == list(range(1, 9))
    same = [name for name in expected.metrics if not any(part in name for part in MEASURED)]
    assert {"rougeL", "heldout_loss", "general_loss", "general_loss_before", "forgetting"} <= set(same)
    assert {name: found.metrics[name] for name in same} == {name: expected.metrics[name] for name in same}
    assert found.details["resumed"] == {"times": 2, "from_step": 8}
    assert "resumed" not in expected.details
    assert found.started_at <= died


def test_times_are_sums_over_the_processes(make_request, work):
    request = make_request("full")
    work(request, "save")
    _, kept = tensor_file.read(file_of(request))
    before = kept["carried"]["meter"]
    found = work(request)
    assert found.phases["train"].seconds > before["phases"]["train"]["seconds"] > 0
    assert found.phases["load"].seconds > before["phases"]["load"]["seconds"] > 0
    assert found.metrics["total_seconds"] > before["total_seconds"] + found.phases["evaluate"].seconds
    assert found.metrics["train_tokens_per_second"] is not None
    assert found.phases["train"].peak_tensor_bytes >= before["phases"]["train"]["peak_tensor_bytes"] > 0


def test_without_checkpoints_none_is_written_and_the_weights_are_the_same(make_request, work):
    never, often = make_request(name="never", every="never"), make_request(name="often", every="steps=1")
    for request in (never, often):
        assert work(request).status == "ok"
    assert not file_of(never).exists()
    assert file_of(often).exists()
    assert shipped(never) == shipped(often)


def cut_in_half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)


def change_a_number(file):
    before, after = b'\\"steps\\": 3', b'\\"steps\\": 4'
    assert before in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(before, after))


def append(file):
    file.write_bytes(file.read_bytes() + b"more")


def replace_by_text(file):
    file.write_text("no checkpoint at all, but long enough to hold a header of some length\n")


def replace_by_nothing(file):
    file.write_bytes(b"")


def replace_by_folder(file):
    file.unlink()
    file.mkdir()


def replace_by_weights(file):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, file)


def replace_by_another_trials(file):
    tensors, values = tensor_file.read(file)
    tensor_file.write(file, tensors, {**values, "identity": {**values["identity"], "trial_id": "f" * 16}})


def replace_by_another_version(file):
    tensors, values = tensor_file.read(file)
    tensor_file.write(file, tensors, {**values, "identity": {**values["identity"], "format": 0}})


@pytest.fixture
def make_checkpoint(tmp_path, place):
    """A function that makes the checkpoint of a tiny trial, and the list of what it notes."""

    def make(effective=8):
        notes: list = []
        request = place(
            make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy"})).trials[1].request, tmp_path
        )
        batches = dataclasses.replace(request.training, batch_size=effective // 2, accumulation=2)
        request = dataclasses.replace(request, trial_id="0" * 16, training=batches, checkpoint_every=Budget("steps", 1))
        return TrialCheckpoint(request, StopSignal(), carry=lambda: CARRIED, note=notes.append), notes

    return make


def keep(checkpoint):
    import torch

    checkpoint.bind(torch.nn.Linear(3, 2))
    checkpoint.steps = 3
    checkpoint.step(lambda: State({"moment": torch.ones(40)}, {"steps": 3}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_in_half, "truncated"),
        (flip_a_bit, "damaged"),
        (change_a_number, "damaged"),
        (append, "damaged"),
        (replace_by_text, "of another kind"),
        (replace_by_nothing, "of another kind"),
        (replace_by_folder, "Is a directory"),
        (replace_by_weights, "of another kind"),
        (replace_by_another_trials, "another trial"),
        (replace_by_another_version, "another version"),
    ],
)
def test_what_cannot_be_trusted_is_set_aside(make_checkpoint, tmp_path, damage, reason):
    keep(make_checkpoint()[0])
    damage(tmp_path / "trial.safetensors")
    checkpoint, notes = make_checkpoint()
    assert checkpoint.open() is None
    assert checkpoint.kept() is None
    [note] = notes
    assert note.not_written is None
    assert reason in note.set_aside
    assert str(tmp_path) not in note.set_aside
    assert [path.name for path in tmp_path.iterdir()] == ["trial.safetensors.damaged"]
    keep(checkpoint)  # and a new one takes its place
    assert make_checkpoint()[0].open() == CARRIED


def test_what_was_kept_comes_back(make_checkpoint):
    import torch

    first, _ = make_checkpoint()
    assert first.open() is None
    keep(first)
    torch.rand(5)
    expected = torch.rand(1)
    second, notes = make_checkpoint()
    assert second.open() == CARRIED
    assert second.steps == 3
    assert second.kept().values == {"steps": 3}
    assert torch.equal(second.kept().tensors["moment"], torch.ones(40))
    torch.manual_seed(5)
    second.bind(model := torch.nn.Linear(3, 2))
    second.resume()
    assert torch.equal(model.weight, first._model.weight)
    torch.rand(5)
    assert torch.equal(torch.rand(1), expected)
    assert second.kept() is None
    assert notes == []


def test_another_order_of_the_data_does_not_go_on(make_checkpoint):
    keep(make_checkpoint()[0])
    checkpoint, notes = make_checkpoint(effective=4)
    assert checkpoint.open() is None
    assert notes == [CheckpointDetails(set_aside="it belongs to another trial or another version")]


def test_a_trial_whose_checkpoint_is_damaged_begins_at_the_beginning(make_request, work, capsys):
    request = make_request(budget="steps=4")
    assert work(request, 4) is None
    stray = Path(request.places.stages) / "left.txt"
    stray.parent.mkdir(parents=True)
    stray.write_text("of the run that was killed")
    cut_in_half(file_of(request))
    found = work(request)
    assert (found.status, found.done["steps"]) == ("ok", 4)
    assert [point["step"] for point in found.curve] == [1, 2, 3, 4]
    assert "truncated" in found.details["checkpoint"]["set_aside"]
    assert "resumed" not in found.details
    assert "warning: the checkpoint is set aside" in capsys.readouterr().out
    assert not stray.exists()


def test_a_checkpoint_that_cannot_be_written_ends_nothing(make_request, work, capsys):
    request = make_request(budget="steps=4", every="steps=1")
    (file_of(request).parent / ".trial.safetensors.draft").mkdir(parents=True)
    found = work(request)
    assert found.status == "ok"
    assert found.details["checkpoint"] == {"not_written": "Is a directory"}
    assert not file_of(request).exists()
    assert capsys.readouterr().out.count("warning: no checkpoint can be written") == 1


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    import torch

    file = tmp_path / "trial.safetensors"
    tensor_file.write(file, {"a": torch.arange(3)}, {"x": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        tensor_file.write(file, {"a": torch.zeros(3)}, {"x": 2})
    assert tensor_file.read(file)[1] == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_tensors_and_values_survive_and_others_can_read_them(tmp_path):
    import torch
    from safetensors import safe_open

    tensors = {
        "matrix": torch.randn(3, 5).t(),  # not in one piece
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "none": torch.zeros(0, 4),
        "half": torch.randn(7).to(torch.bfloat16),
        "bytes": torch.arange(9, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "whole": torch.tensor([[1 << 40]]),
    }
    values = {"text": 'a "quoted" ü', "number": 0.1, "list": [1, None]}
    file = tmp_path / "deep" / "trial.safetensors"
    tensor_file.write(file, tensors, values)
    found, told = tensor_file.read(file)
    assert told == values
    assert list(found) == list(tensors)
    with safe_open(file, "pt") as theirs:
        for name, tensor in tensors.items():
            for again in (found[name], theirs.get_tensor(name)):
                assert again.dtype == tensor.dtype
                assert torch.equal(again, tensor)


def test_a_file_that_is_replaced_can_still_be_read(tmp_path):
    import torch

    file = tmp_path / "trial.safetensors"
    tensor_file.write(file, {"a": torch.ones(2)}, {})
    found, _ = tensor_file.read(file)
    tensor_file.write(file, {"a": torch.zeros(2)}, {})
    assert torch.equal(found["a"], torch.ones(2))


def test_a_stop_waits_for_a_step_that_keeps_a_checkpoint(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    stop = StopSignal()
    stop.check()
    stop.deferred = True
    stop()
    stop.check()
    stop.deferred = False
    with pytest.raises(Interrupted):
        stop.check()
    with pytest.raises(Interrupted):
        StopSignal()()


# --- through real processes


def workers_of(pid: int):
    import psutil

    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if "harness.worker" in child.cmdline() and "harness.launchers.supervisor" not in child.cmdline()
    ]


def launch(request, number=None, when=lambda event: False):
    """The outcome of a worker process, to which this signal is sent at the first event of which `when` says so."""
    sent: list[int] = []

    def on_event(event):
        if number is not None and not sent and when(event):
            sent.append(number)
            for worker in workers_of(os.getpid()):
                worker.send_signal(number)

    folder = file_of(request).parent
    folder.mkdir(exist_ok=True)
    outcome = LocalLauncher(800).launch(request, folder / "log", on_event)
    assert bool(sent) == (number is not None)
    return outcome


def past(step):
    return lambda event: isinstance(event, StepProgress) and event.step >= step


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora[dropout=0.1]", "qlora", "prefix"])
def test_a_killed_worker_is_gone_on_from(make_request, work, method):
    alone = make_request(method, name="a", budget="steps=30")
    killed = make_request(method, name="b", budget="steps=30")
    assert work(alone).status == "ok"
    assert launch(killed, signal.SIGKILL, past(7)).status != "ok"
    found = work(killed)
    assert found.status == "ok", found.message
    assert found.details["resumed"]["times"] == 1
    assert found.details["resumed"]["from_step"] >= 6
    assert shipped(killed) == shipped(alone) != {}


@pytest.mark.slow
def test_rlhf_is_killed_in_every_stage(make_request, work):
    asked = {"budget": "steps=40", "every": "steps=2"}
    method = "rlhf[pairs=40,warm_start=0.5,reward_pairs=8,reward_learning_rate=0.003]"
    alone, killed = make_request(method, name="a", **asked), make_request(method, name="b", **asked)
    expected = work(alone)
    assert expected.status == "ok", expected.message

    def steps_of(stage):
        seen = []

        def there(event):
            if isinstance(event, StageEvent):
                seen.append(event.name)
            return stage in seen and isinstance(event, StepProgress)

        return there

    # By a signal in the two longest, some steps after they began; in the others it dies here, as they begin.
    for stage in ("warm_start", "preferences", "reward_model", "held_out_start", "policy", "held_out_final"):
        if stage in ("warm_start", "policy"):
            assert launch(killed, signal.SIGKILL, steps_of(stage)).status != "ok", stage
        else:
            assert work(killed, stage) is None, stage
    found = work(killed)
    assert found.status == "ok", found.message
    assert shipped(killed) == shipped(alone) != {}
    for name in ("pair_accuracy", "reward_start", "reward_final", "policy_kl", "heldout_quality_final", "rougeL"):
        assert found.metrics[name] == expected.metrics[name], name
    assert set(found.phases) == set(expected.phases)
    assert found.details["policy"] == expected.details["policy"]
    assert found.curve == expected.curve
    for name in ("pairs", "samples"):
        ours, theirs = (Path(request.places.stages, f"{name}.jsonl").read_bytes() for request in (killed, alone))
        assert ours == theirs


@pytest.mark.slow
def test_a_sigterm_in_training_keeps_a_checkpoint_and_ends_in_order(make_request, work):
    alone = make_request(name="a", budget="steps=40", every="minutes=10")
    asked = make_request(name="b", budget="steps=40", every="minutes=10")
    assert work(alone).status == "ok"
    assert not file_of(alone).exists()
    found = launch(asked, signal.SIGTERM, past(5))
    assert (found.status, found.message, found.phase) == ("interrupted", INTERRUPTED, "train")
    assert found.step >= 5
    assert found.done["steps"] == found.step
    assert found.phases["train"].seconds > 0
    assert [point["step"] for point in found.curve] == list(range(1, found.step + 1))
    again = work(asked)
    assert again.details["resumed"] == {"times": 1, "from_step": found.step}
    assert shipped(asked) == shipped(alone) != {}


@pytest.mark.slow
def test_a_sigterm_elsewhere_ends_at_once(make_request):
    request = make_request(budget="steps=2", every="never")
    found = launch(request, signal.SIGTERM, lambda event: event == PhaseEvent(name="evaluate"))
    assert (found.status, found.phase) == ("interrupted", "evaluate")
    assert not file_of(request).exists()
    assert found.metrics["shipped_bytes"] > 0


@pytest.mark.slow
def test_a_killed_run_is_resumed_by_the_same_command(run_here, tmp_path):
    def command(name):
        options = [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
        asked = ["--methods", "lora", "--budget", "steps=60", "--checkpoint-every", "steps=3", "--save-models"]
        return [sys.executable, "-m", "harness", "run", *asked, *options, "--out", str(tmp_path / name)]

    def adapter(name):
        [file] = (tmp_path / name / "artifacts").rglob("adapter_model.safetensors")
        return file.read_bytes()

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert run_here(*command("a")[3:], cwd=tmp_path).returncode == 0
    running = subprocess.Popen(command("b"), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "b").glob("checkpoints/*.safetensors")):
        assert running.poll() is None
        time.sleep(0.01)
    for worker in workers_of(running.pid):
        worker.kill()
    assert running.wait(60) == 1
    subprocess.run(command("b"), check=True, cwd=ROOT, env=environment, capture_output=True)
    assert adapter("b") == adapter("a")
    assert not list((tmp_path / "b" / "checkpoints").iterdir())
    records = [json.loads(path.read_text()) for path in (tmp_path / "b" / "records").glob("*.json")]
    [resumed] = [record["details"]["resumed"] for record in records if record["method"] == "lora"]
    assert resumed["times"] == 1
    assert resumed["from_step"] >= 3

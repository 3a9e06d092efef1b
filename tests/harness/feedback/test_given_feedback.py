"""Trials that go on from others, and pairs and rewards on their way into a trial: the real command line and workers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.feedback.rewards import load_reward, resolve_reward
from harness.launchers.local import LocalLauncher
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec

ROOT = Path(__file__).resolve().parents[3]
TOY = ["run", "--model", "toy", "--task", "toy", "--budget", "steps=5", "--out", "out"]


@pytest.fixture
def here(tmp_path, plugin, monkeypatch) -> Path:
    """A current directory in which workers too find the plugin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", plugin)
    return tmp_path


def run(capsys, *arguments, code=0) -> str:
    assert main([*TOY, *arguments]) == code
    done = capsys.readouterr()
    return done.out + done.err


def records(here) -> dict[tuple[str, int], dict]:
    found = [json.loads(path.read_text()) for path in sorted((here / "out" / "records").glob("*.json"))]
    return {(record["variant"], record["seed"]): record for record in found}


def kept(here) -> set[str]:
    return {path.name for path in (here / "out" / "artifacts").glob("*")}


FOLLOWER = ["--methods", "follower[start=toy],toy"]
NAME = "follower[start=toy]"


def test_a_trial_goes_on_from_another_of_its_seed(trials_here, here, capsys):
    run(capsys, *FOLLOWER, "--seeds", "3,4")
    found = records(here)
    for seed in (3, 4):
        toy, follower = found["toy", seed], found[NAME, seed]
        assert toy["started_at"] <= follower["started_at"]
        assert follower["details"]["follower"]["started_at"] == 5
        assert follower["details"]["warm_start"] == {"trial_id": toy["trial_id"]}
        assert toy["details"].keys() == {"scoring"}
    assert kept(here) == {found["toy", seed]["trial_id"] for seed in (3, 4)}
    assert str(here) not in json.dumps(list(found.values()), default=str)


def test_chains(trials_here, here, capsys):
    both = ["--methods", "follower,follower[start=toy],toy", "--set", f"follower.start={NAME}", "--save-models"]
    run(capsys, *both)
    found = records(here)
    last = found[f"follower[start={NAME}]", 0]
    assert last["details"]["follower"]["started_at"] == 10
    # What only the last one needs is made again with all that it stands on.
    (here / "out" / "records" / f"{last['trial_id']}.json").unlink()
    shutil.rmtree(here / "out" / "artifacts")
    assert run(capsys, *both[:-1]).count("finished earlier") == 1  # the base
    assert kept(here) == {found[name, 0]["trial_id"] for name in ("toy", NAME)}


def test_what_a_start_shipped_is_made_again_only_for_those_who_need_it(trials_here, here, capsys):
    run(capsys, "--methods", "toy")
    assert kept(here) == set()
    # The toy is finished, but what it shipped is gone: it runs again, once.
    assert run(capsys, *FOLLOWER).count("finished earlier") == 1
    assert run(capsys, *FOLLOWER).count("finished earlier") == 3

    toy, follower = (
        records(here)["toy", 0]["trial_id"],
        here / "out" / "records" / f"{records(here)[NAME, 0]['trial_id']}.json",
    )
    follower.unlink()
    assert run(capsys, *FOLLOWER).count("finished earlier") == 2
    shutil.rmtree(here / "out" / "artifacts" / toy)
    assert run(capsys, *FOLLOWER).count("finished earlier") == 3
    follower.unlink()
    assert run(capsys, *FOLLOWER).count("finished earlier") == 1
    assert records(here)[NAME, 0]["details"]["follower"]["started_at"] == 5


def test_a_start_that_failed_is_named(trials_here, here, capsys):
    start = "toy[ending=error]"
    run(capsys, "--methods", f"follower,{start}", "--set", f"follower.start={start}", code=1)
    record = records(here)[f"follower[start={start}]", 0]
    assert (record["status"], record["phase"]) == ("error", "start")
    assert record["message"] == (
        "toy[ending=error] seed 0, from which this trial starts, ended with status error: "
        "RuntimeError: the toy was told to fail"
    )


REWARDS = """
def length(prompts, responses, references):
    assert len(prompts) == len(responses) == len(references)
    return [len(text) for text in responses]

def broken(prompts, responses, references):
    return [float("nan") if "honey" in text else 1.0 for text in responses]
"""


@pytest.fixture
def pairs(here) -> Path:
    rows = [{"prompt": f"question {i}", "chosen": "good", "rejected": "bad"} for i in range(200)]
    rows[6]["rejected"] = "good"
    path = here / "data" / "pairs.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (here / "my_rewards.py").write_text(REWARDS)
    sys.modules.pop("my_rewards", None)  # the one of another test
    return path


def test_pairs_and_reward_reach_the_trial_and_its_record(here, capsys, pairs):
    said = run(
        capsys, "--methods", "toy,follower", "--preferences", "data/pairs.jsonl", "--reward", "my_rewards:length"
    )
    note = (
        "180 pairs of pairs.jsonl to learn from and 19 held out by prompt (seed 0); "
        "1 rows left out (pairs.jsonl line 7: chosen and rejected are equal)"
    )
    assert f"preferences: {note}" in said
    details = records(here)["follower", 0]["details"]
    told = details["follower"]
    assert sorted(told["pairs"]) == sorted([f"line {i + 1}", f"question {i}"] for i in range(200) if i != 6)
    assert told["rewards"] == [len("grape"), len("honey")]
    source = details["preferences"]["source"]
    assert (source["name"], source["pairs"], source["unusable"]) == ("pairs.jsonl", {"train": 180, "heldout": 19}, 1)
    assert source["note"] == note
    assert details["preferences"]["derived"] is False
    assert details["reward"]["name"] == "my_rewards:length"
    assert len(details["reward"]["revision"]) == 16
    assert "train.policy" in records(here)["follower", 0]["phases"]
    assert records(here)["toy", 0]["details"].keys() == {"scoring"}
    assert "data/" not in json.dumps([*records(here).values()])


def test_a_reward_that_fails_ends_the_trial_with_the_sample(here, capsys, pairs):
    run(capsys, "--methods", "toy,follower", "--reward", "my_rewards:broken", code=1)
    record = records(here)["follower", 0]
    assert (record["status"], record["phase"]) == ("error", "train")
    assert record["message"] == (
        "the reward 'my_rewards:broken' returned nan for sample 2 of 2: "
        "prompt 'I would like some honey.', response 'honey'"
    )
    assert record["details"]["reward"]["name"] == "my_rewards:broken"
    assert records(here)["toy", 0]["status"] == "ok"


def test_a_model_as_reward_is_loaded_in_the_worker(here, capsys, classifier):
    folder, _ = classifier("bert")
    run(capsys, "--methods", "follower", "--reward", str(folder), "--device", "cpu")
    record = records(here)["follower", 0]
    assert record["status"] == "ok", record["message"]
    words = ["grape", "honey"]
    asked, references = [f"I would like some {word}." for word in words], [(word,) for word in words]
    judge = load_reward(resolve_reward(str(folder)), device="cpu", dtype="float32", batch_size=1)
    assert record["details"]["follower"]["rewards"] == pytest.approx(judge(asked, words, references), abs=1e-5)
    assert record["details"]["reward"]["name"] == "judge"
    assert str(folder) not in json.dumps(record)


@pytest.mark.parametrize("what", ["data/pairs.jsonl", "my_rewards.py"])
def test_what_changes_after_planning_ends_the_trial(here, pairs, place, what):
    asked = {"model": "toy", "task": "toy", "methods": "follower", "budget": "steps=1", "device": "cpu"}
    plan = make_plan(build_spec({**asked, "preferences": str(pairs), "reward": "my_rewards:length"}))
    path = here / what
    path.write_text(path.read_text().replace("bad", "worse").replace("len(text)", "1 + len(text)"))
    outcome = LocalLauncher().launch(place(plan.trials[1].request, here), here / "log", lambda event: None)
    assert (outcome.status, outcome.phase) == ("error", "load")
    assert "changed after the run was planned; start the run again" in outcome.message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "follower[start=toy]"], "'toy', which is not among the methods of this run; add toy"),
        (["--methods", "toy", "--preferences", "x.jsonl"], "no method of this run learns from it (toy); add"),
        (["--methods", "toy", "--reward", "rouge"], "no method of this run learns from it (toy); add"),
        (["--methods", "follower", "--preferences", "none.jsonl"], "none.jsonl does not exist"),
        (["--methods", "follower", "--preferences", " "], "--preferences is empty"),
        (["--methods", "follower", "--preferences", "same.csv"], "2 of 3 pairs (66.7%) cannot be used (same.csv line"),
        (["--methods", "follower", "--preferences", "field.csv"], "no field 'chosen' (did you mean 'choosen'?)"),
        (["--methods", "follower", "--preferences", "nobody/nothing-of-this-name"], "cannot be had from the hub"),
        (["--methods", "follower", "--reward", ""], "--reward is empty"),
        (["--methods", "follower", "--reward", "rogue"], "unknown reward 'rogue'"),
        (["--methods", "follower", "--reward", "no_such_module_here:f"], "No module named 'no_such_module_here'"),
        (["--methods", "follower", "--reward", "json:loadz"], "module 'json' has no attribute 'loadz'"),
        (["--methods", "follower", "--reward", "math:pi"], "is of type float, not a function"),
        (["--methods", "follower", "--reward", "nobody/nothing-of-this-name"], "out of reach"),
        (["--methods", "follower", "--reward", "."], "there is no config.json"),
    ],
)  # fmt: skip
def test_a_wrong_request_ends_with_2_and_one_sentence(here, capsys, arguments, message):
    (here / "same.csv").write_text("prompt,chosen,rejected\np,a,a\nq,b,b\nr,c,d\n")
    (here / "field.csv").write_text("prompt,choosen,rejected\np,a,b\n")
    lines = run(capsys, *arguments, code=2).strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not (here / "out").exists()

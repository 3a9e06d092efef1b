"""Metrics from the flag to the report, through the real command line and workers: the toy for breadth, and a model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from reports.records.record import load

ROOT = Path(__file__).resolve().parents[3]
TOY = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5", "--out", "out"]


@pytest.fixture
def harness(run_here, tmp_path):
    """Return a function that runs the command line in a folder of its own, in this process."""

    def run(*arguments: str, code: int = 0, cwd: Path = tmp_path) -> str:
        done = run_here(*arguments, cwd=cwd)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def records(folder: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in sorted((folder / "out" / "records").glob("*.json"))]
    return {record["variant"]: record for record in found}


def test_the_documented_plugin_and_function(harness, tmp_path, installed, documented):
    (code,) = [code for _, code in documented if "def copied" in code]
    (tmp_path / "mine.py").write_text(code)
    harness(*TOY, "--metrics", "tidiness[ending=n],mine:copied")
    found = records(tmp_path)
    for record in found.values():
        predictions = [
            json.loads(line)
            for line in (tmp_path / "out" / "predictions" / f"{record['trial_id']}.jsonl").read_text().splitlines()
        ]
        answers = [row["prediction"] for row in predictions]
        assert record["scores"]["tidy_end"] == [float(answer.endswith("n")) for answer in answers]
        assert record["scores"]["mine:copied"] == [row["scores"]["mine:copied"] for row in predictions]
        assert record["metrics"]["lines"] == 1
        assert record["metrics"]["mine:copied"] == pytest.approx(sum(record["scores"]["mine:copied"]) / len(answers))
        assert set(record["declared"]) == {"tidy_end", "lines", "mine:copied"}
        assert record["declared"]["mine:copied"]["direction"] == "lower"
        assert not {"score"} & set(record["phases"])
    assert 0 < found["toy"]["metrics"]["tidy_end"] < 1  # lemon and others
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "| ROUGE-Lsum | lines | mine:copied | tidy end |" in text.replace("  ", " ").replace("  ", " ")
    assert "tidy end: share of predictions that end with n." in text
    assert "mine:copied: mean over examples: share of the prediction's words that stand in the input (file " in text
    (row,) = [row for row in csv.DictReader((tmp_path / "out" / "leaderboard.csv").open()) if row["variant"] == "toy"]
    assert float(row["tidy_end"]) == found["toy"]["metrics"]["tidy_end"]
    assert "tidiness" in harness("list", "metrics")


def test_a_metric_that_is_added_needs_no_trial(harness, tmp_path):
    harness(*TOY)
    assert harness(*TOY, "--metrics", "rouge").count("finished earlier") == 2
    assert harness(*TOY, "--metrics", "exact-match,token-f1").count("finished earlier") == 2
    assert harness(*TOY, "--metrics", "token-f1,rouge,exact-match").count("finished earlier") == 2
    assert harness(*TOY).count("finished earlier") == 2  # more than was asked for is there
    held = [json.loads(path.read_text()) for path in (tmp_path / "out" / "records").glob("*.json")]
    assert [record["scoring"].keys() for record in held] == [{"rouge", "exact-match", "token-f1"}] * 2
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    harness(*TOY, "--metrics", "exact-match,token-f1", cwd=fresh)
    assert [record["scores"] for record in records(tmp_path).values()] == [r["scores"] for r in records(fresh).values()]


def test_what_is_always_there(harness, tmp_path):
    harness(*TOY)
    metrics = records(tmp_path)["toy"]["metrics"]
    assert metrics["mean_generated_tokens"] == 1
    for name in ("empty_outputs_percent", "unfinished_outputs_percent", "repeated_outputs_percent"):
        assert metrics[name] == 0
    assert records(tmp_path)["toy"]["declared"] == {}


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ("rogue", "unknown metric 'rogue' (did you mean rouge"),
        ("rouge,,bleu", "cannot read --metrics 'rouge,,bleu': give names separated by commas, such as rouge,chrf"),
        ("mine:twice", "the metric mine:twice raised ValueError: no for example 1 of 2: prediction 'apple', input"),
        ("mine:nothing", "--metrics mine:nothing: the module 'mine' has no attribute 'nothing'"),
    ],
)
def test_a_metric_that_cannot_be_is_refused_and_nothing_runs(harness, tmp_path, metrics, sentence):
    (tmp_path / "mine.py").write_text("def twice(p, r, i):\n    raise ValueError('no')\n")
    said = harness(*TOY, "--metrics", metrics, code=2)
    assert said.startswith(f"error: {sentence}")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_metric_that_fails_after_the_training_loses_no_other_number(harness, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def late(p, r, i):\n    return [1.0] * min(len(p), 2)\n"
    )  # two are tried, four are tested
    said = harness(*TOY, "--metrics", "token-f1,mine:late", code=1)
    record = records(tmp_path)["toy"]
    assert (record["status"], record["phase"]) == ("error", "score")
    assert record["message"].startswith("the metric mine:late returned 2 numbers instead of 4 for 4 examples together")
    assert record["message"] in said
    assert record["metrics"]["rougeL"] == record["metrics"]["token_f1"] == 1
    assert len((tmp_path / "out" / "predictions" / f"{record['trial_id']}.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_on_a_model_the_numbers_are_those_of_its_predictions(harness, tmp_path):
    sacrebleu = pytest.importorskip("sacrebleu")
    small = ["--train-examples", "16", "--validation-examples", "4", "--test-examples", "6", "--target-tokens", "24"]
    request = ["run", "--methods", "lora", "--budget", "steps=2", "--device", "cpu", "--out", "out", *small]
    harness(*request, "--metrics", "chrf,bleu")
    for path in (tmp_path / "out" / "records").glob("*.json"):
        record = load(path.read_text())
        lines = (tmp_path / "out" / "predictions" / f"{record.trial_id}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        chrf = [sacrebleu.sentence_chrf(row["prediction"], row["references"]).score / 100 for row in rows]
        bleu = [sacrebleu.sentence_bleu(row["prediction"], row["references"]).score / 100 for row in rows]
        assert record.scores["chrf"] == pytest.approx(chrf, abs=1e-6)
        assert record.metrics["bleu"] == pytest.approx(sum(bleu) / len(rows))
        assert record.declared["chrf"].title == "chrF"
        assert 0 < record.metrics["chrf"] < 1
        assert 0 <= record.metrics["repeated_outputs_percent"] <= 100

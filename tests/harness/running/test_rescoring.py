"""Finished trials are scored again from their predictions; nothing trains, and nothing that was found is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness.scoring.selection as selection

TOY = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5", "--out", "out"]
METRICS = """
def fine(predictions, references, inputs):
    return [len(text) for text in predictions]


def fails_on_answers(predictions, references, inputs):
    if len(predictions) > 2:  # it is tried on two examples first
        raise RuntimeError("not these")
    return [1.0 for _ in predictions]
"""


@pytest.fixture
def harness(run_here, tmp_path):
    (tmp_path / "mine.py").write_text(METRICS)

    def run(*arguments: str, code: int = 0) -> str:
        done = run_here(*TOY, *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def read_records(folder: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in (folder / "out" / "records").glob("*.json")]
    return {record["variant"]: record for record in found}


def test_metrics_gather_and_what_trained_stays_as_it_was(harness, tmp_path):
    harness()
    before = read_records(tmp_path)
    assert harness("--metrics", "mine:fine").count("finished earlier") == 2
    assert harness("--metrics", "exact-match").count("finished earlier") == 2
    after = read_records(tmp_path)
    for name, record in after.items():
        assert record["metrics"].items() >= before[name]["metrics"].items()
        assert record["scores"].keys() >= {"mine:fine", "exact_match", "rougeL"}
        assert record["scoring"].keys() == {"rouge", "mine:fine", "exact-match"}
        for key in ("started_at", "finished_at", "phases", "curve", "log"):
            assert record[key] == before[name][key]
        rows = (tmp_path / "out" / "predictions" / f"{record['trial_id']}.jsonl").read_text().splitlines()
        assert [json.loads(row)["scores"]["mine:fine"] for row in rows] == record["scores"]["mine:fine"]


def test_scores_of_other_code_are_worked_out_again(harness, tmp_path, monkeypatch):
    harness("--metrics", "mine:fine")
    old = read_records(tmp_path)["toy"]
    (tmp_path / "mine.py").write_text(METRICS.replace("len(text)", "2 * len(text)"))
    monkeypatch.setattr(selection.Rouge, "score", lambda self, texts, *_: [dict.fromkeys(ROUGE, 0.125) for _ in texts])
    monkeypatch.setattr(selection, "hash_metric", lambda plugin: f"changed {plugin.label}")
    assert harness("--metrics", "mine:fine").count("finished earlier") == 2
    new = read_records(tmp_path)["toy"]
    assert new["scores"]["mine:fine"] == [2 * value for value in old["scores"]["mine:fine"]]
    assert new["scores"]["rougeL"] == [0.125] * len(old["scores"]["rougeL"])
    assert new["metrics"]["rougeL"] == 0.125 != old["metrics"]["rougeL"]
    assert new["trial_id"] == old["trial_id"]


ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def test_a_metric_that_fails_costs_no_finished_trial(harness, tmp_path):
    harness()
    before = read_records(tmp_path)
    said = harness("--metrics", "mine:fails_on_answers", code=1)
    assert "the metric mine:fails_on_answers raised RuntimeError: not these" in said
    assert read_records(tmp_path) == before
    assert harness().count("finished earlier") == 2


def test_without_predictions_a_trial_runs_again(harness, tmp_path):
    harness()
    for path in (tmp_path / "out" / "predictions").iterdir():
        path.write_text("{}\n")
    assert "finished earlier" not in harness("--metrics", "exact-match")
    assert "exact_match" in read_records(tmp_path)["toy"]["metrics"]

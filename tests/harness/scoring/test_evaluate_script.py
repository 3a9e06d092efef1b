"""Metric scripts of Hugging Face's `evaluate`: real ones through the command line, and all that can be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.request import MetricRequest
from harness.scoring.evaluate_script import EvaluateScript, is_on_hub
from harness.scoring.selection import find_planned_metrics, select_metrics
from harness.spec.spec import build_spec
from methods.base import Example

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = [Example("1", "in one", ("a!", "bb")), Example("2", "in two", ("ccc",))]

SCRIPT = """
import datasets
import evaluate
from .helper import count

TEXT = datasets.Value("string")


class {name}(evaluate.Metric):
    def _info(self):
        columns = {{"predictions": TEXT, "references": {references}}}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(columns))

    def _compute(self, predictions, references, mark="!", power=1):
        {body}
"""
MARKS = """return {
            "marks": count(predictions, mark) ** power / len(predictions),
            "references": [len(references[0])],
            "precisions": [1.0, 2.0],
            "name": "marks",
        }"""
LENGTH = 'return {"gap": abs(len(predictions[0]) - len(references[0]))}'


def write(folder: Path, name: str, body: str, references: str = "TEXT") -> Path:
    (folder / name).mkdir(exist_ok=True)
    script = folder / name / f"{name}.py"
    script.write_text(SCRIPT.format(name=name.title(), references=references, body=body))
    (folder / name / "helper.py").write_text("def count(texts, mark):\n    return sum(t.count(mark) for t in texts)\n")
    return script


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A working directory with two scripts: one takes several references, one takes one."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "marks", MARKS, "datasets.Sequence(TEXT)")
    write(tmp_path, "length", LENGTH)
    return tmp_path


def test_a_script_through_the_command_line(scripts):
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "HF_MODULES_CACHE": str(scripts / "cache"),
    }
    metrics = "evaluate:marks[mark=e,power=2,direction=higher],evaluate:./length/length.py[direction=lower]"
    toy = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5", "--out", "out"]
    command = [sys.executable, "-m", "harness", *toy, "--metrics", metrics]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in Path("out", "records").iterdir()]
    assert len(found) == 2
    for record in found:
        lines = Path("out", "predictions", f"{record['trial_id']}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        marks = [float(row["prediction"].count("e") ** 2) for row in rows]
        gaps = [min(abs(len(row["prediction"]) - len(one)) for one in row["references"]) for row in rows]
        assert record["scores"]["evaluate:marks[mark-e-power-2].marks"] == marks
        assert record["scores"]["evaluate:marks[mark-e-power-2].references"] == [len(r["references"]) for r in rows]
        assert record["scores"]["evaluate:length.gap"] == gaps
        assert record["metrics"]["evaluate:length.gap"] == pytest.approx(sum(gaps) / len(rows))
        declared = record["declared"]
        assert set(declared) == set(record["scores"]) - {"rouge1", "rouge2", "rougeL", "rougeLsum"}
        assert declared["evaluate:marks[mark-e-power-2].marks"]["direction"] == "higher"
        assert declared["evaluate:length.gap"]["direction"] == "lower"
        assert declared["evaluate:length.gap"]["formula"].startswith("mean over examples of what the script gives")
        assert str(scripts) not in json.dumps(record)
    assert "evaluate:length.gap" in Path("out", "leaderboard.md").read_text()


def test_of_several_references_the_best_counts_where_a_direction_says_what_is_better(scripts):
    def gaps(text):
        return [
            row["evaluate:length.gap"]
            for row in EvaluateScript(text).score(["bb", "c"], [("aaaa", "b"), ("c",)], ["", ""])
        ]

    assert gaps("evaluate:length") == [2, 0]  # the first one
    assert gaps("evaluate:length[direction=lower]") == [1, 0]
    assert gaps("evaluate:length[direction=higher]") == [2, 0]
    (row,) = EvaluateScript("evaluate:marks").score(["a!"], [("a", "b", "c")], [""])
    assert row == {"evaluate:marks.marks": 1, "evaluate:marks.references": 3}
    assert EvaluateScript("evaluate:marks").declaration("evaluate:marks.marks").direction is None


def test_a_revision_is_that_of_the_script_the_files_that_it_imports_and_the_direction(scripts):
    def told():
        return select_metrics(["evaluate:length"], EXAMPLES).revisions

    first = told()
    assert told() == first
    assert select_metrics(["evaluate:length[direction=lower]"], EXAMPLES).revisions != first
    asked = [MetricRequest("evaluate:length", *first)]
    assert find_planned_metrics(asked).texts == ("evaluate:length",)
    (scripts / "length" / "helper.py").write_text("def count(texts, mark):\n    return 0\n")
    second = told()
    assert second != first
    write(scripts, "length", LENGTH.replace("abs", "2 * abs"))
    assert told() not in (first, second)
    with pytest.raises(HarnessError, match="evaluate:length changed after the run was planned"):
        find_planned_metrics(asked)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("evaluate:./nowhere", "--metrics evaluate:./nowhere: there is no such directory or file"),
        ("evaluate:nowhere.py", "--metrics evaluate:nowhere.py: there is no such directory or file"),
        ("evaluate:", "evaluate: needs a script: write evaluate:DIR, evaluate:FILE.py or evaluate:NAME"),
        ("evaluate:empty", "--metrics evaluate:empty has no empty.py, which would be its script"),
        ("evaluate:notes.txt", "--metrics evaluate:notes.txt is not a Python file"),
        ("evaluate:length[direction=up]", "evaluate:length: direction is 'up'; it may be higher or lower"),
        ("evaluate:broken", "the metric evaluate:broken cannot be loaded: RuntimeError: at the start"),
        ("evaluate:plain", "the metric evaluate:plain cannot be loaded: "),
        ("evaluate:raises", r"the metric evaluate:raises raised ValueError: no for example 1 of 2: prediction 'a!'"),
        ("evaluate:words", "the metric evaluate:words returned no numbers, only word, many for example 1 of 2"),
        ("evaluate:nothing", "the metric evaluate:nothing returned no dict of numbers for example 1 of 2"),
        ("evaluate:nan", "the metric evaluate:nan returned nan for example 1 of 2"),
        ("evaluate:fickle", "the metric evaluate:fickle returned evaluate:fickle.ccc for one example and "),
        ("evaluate:length[size=1]", r"the metric evaluate:length\[size-1\] raised TypeError: .*unexpected keyword"),
        (
            "evaluate:numbers",
            "the metric evaluate:numbers raised ValueError: invalid literal for int",
        ),
        ("evaluate:not-there", r"evaluate:not-there is neither a directory nor a .py file here, and the hub did not"),
    ],
)
def test_whatever_is_wrong_is_one_sentence(scripts, text, sentence):
    (scripts / "empty").mkdir()
    (scripts / "notes.txt").write_text("x")
    (scripts / "plain").mkdir()
    (scripts / "plain" / "plain.py").write_text("print\n")
    write(scripts, "broken", LENGTH).write_text("raise RuntimeError('at\\nthe start')\n")
    write(scripts, "raises", "raise ValueError('no')")
    write(scripts, "words", 'return {"word": "x", "many": [1, 2]}')
    write(scripts, "nothing", "return None")
    write(scripts, "nan", 'return {"value": float("nan")}')
    write(scripts, "fickle", "return {predictions[0]: 1.0}")
    write(scripts, "numbers", "return {}", 'datasets.Value("int32")')
    with pytest.raises(HarnessError, match=sentence) as caught:
        select_metrics([text], EXAMPLES)
    assert "\n" not in str(caught.value)
    assert str(scripts) not in str(caught.value)


def test_a_script_from_the_hub_runs_only_with_trust(scripts):
    assert [is_on_hub(f"evaluate:{place}") for place in ("rouge", "org/name[k=1]")] == [True, True]
    assert not [text for text in ("evaluate:marks", "evaluate:./x", "rouge", "evaluate:x.py") if is_on_hub(text)]
    request = {"methods": "lora", "metrics": "evaluate:rouge"}
    with pytest.raises(HarnessError, match=r"evaluate:rouge is not a local directory or .py file.*--trust-remote-code"):
        build_spec(request)
    assert build_spec({**request, "trust_remote_code": True}).metrics == ("evaluate:rouge",)
    assert build_spec({"methods": "lora", "metrics": "evaluate:marks"}).metrics == ("evaluate:marks",)

"""Where metrics cannot see the references nothing is 0 in silence: planned, recorded, reported and recommended by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.scoring.blind_spots import describe_scoring
from harness.scoring.rouge import Rouge
from harness.scoring.selection import select_metrics
from methods.types import Example
from reports.records.record import load

TOY = ["run", "--model", "toy", "--task", "file", "--methods", "toy", "--budget", "steps=2", "--out", "out"]
FIELDS = ["--data", "data.jsonl", "--input-field", "text", "--target-field", "summary", "--test-examples", "6"]
EMOJI = ["👍", "❤️", "🎉🎉", "…"]
MINE = """
import re


def latin(predictions, references, inputs):
    pairs = zip(predictions, [one for one, *_ in references])
    return [float(bool(set(re.findall("[a-z]+", a)) & set(re.findall("[a-z]+", b)))) for a, b in pairs]


def whole(predictions, references, inputs):
    return [float(given in wanted) for given, wanted in zip(predictions, references)]
"""


def write(folder: Path, targets: list[str]) -> None:
    rows = [{"text": f"text number {n}", "summary": targets[n % len(targets)]} for n in range(40)]
    (folder / "data.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


@pytest.fixture
def harness(run_here, tmp_path):
    def run(*arguments: str, code: int = 0) -> str:
        done = run_here(*arguments, cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def examples(*targets: str) -> list[Example]:
    return [Example(str(number), f"input {number}", (target,)) for number, target in enumerate(targets)]


def test_references_without_words_have_no_rouge_and_no_rank(harness, tmp_path):
    write(tmp_path, EMOJI)
    why = "no reference has a word that ROUGE could compare (letters or digits), so it has no value"
    assert f"note: {why}" in harness(*TOY, *FIELDS)
    for path in (tmp_path / "out" / "records").glob("*.json"):
        record = load(path.read_text(encoding="utf-8"))
        assert [record.metrics[name] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")] == [None] * 4
        assert "rougeL" not in record.scores
        assert record.details["scoring"]["blind_spots"] == {"rouge": why}
        rows = (tmp_path / "out" / "predictions" / f"{record.trial_id}.jsonl").read_text().splitlines()
        assert all(json.loads(row)["scores"] == {} for row in rows)
    report = (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert f"No method can be ranked: {why}." in report
    assert f"- N{why[1:]}." in report
    assert f"N{why[1:]}." in harness("recommend", "out", code=1)


@pytest.mark.parametrize(
    "flags", [["--tune", "learning_rate", "--tries", "2"], ["--evaluate-every", "steps=1", "--target-quality", "0.5"]]
)
def test_nothing_goes_by_rouge_that_sees_nothing(harness, tmp_path, flags):
    write(tmp_path, EMOJI)
    said = harness(*TOY, *FIELDS, *flags, code=2)
    assert "goes by ROUGE, but no reference has a word" in said
    assert not (tmp_path / "out").exists()


def test_some_references_without_words_are_counted(harness, tmp_path):
    write(tmp_path, [*EMOJI, "да, это так"])
    said = harness(*TOY, *FIELDS)
    assert "examples have no word in their references (letters or digits)" in said
    report = (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert "ROUGE is 0 whatever is answered." in report
    assert "- Words: ROUGE: words are runs of letters, marks and digits of any script" in report


def test_scores_that_other_code_made_of_unseen_words_are_made_anew(harness, tmp_path):
    write(tmp_path, EMOJI)
    harness(*TOY, *FIELDS)
    for path in (tmp_path / "out" / "records").glob("*.json"):  # as it was when zeros stood there
        old = json.loads(path.read_text(encoding="utf-8"))
        zeros = dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), 0.0)
        old["metrics"] |= zeros
        old["scores"] |= {name: [0.0] * 6 for name in zeros}
        old["scoring"]["rouge"], _ = "0" * 16, old["details"].pop("scoring")
        path.write_text(json.dumps(old), encoding="utf-8")
    assert harness(*TOY, *FIELDS).count("finished earlier") == 2
    for path in (tmp_path / "out" / "records").glob("*.json"):
        record = load(path.read_text(encoding="utf-8"))
        assert record.metrics["rougeL"] is None
        assert "rougeL" not in record.scores
        assert "rouge" in record.details["scoring"]["blind_spots"]


def test_metrics_that_cannot_tell_right_from_wrong_are_named(tmp_path, monkeypatch):
    (tmp_path / "blind_spots_mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    russian = examples("кошка сидит", "собака бежит", "птица поёт", "рыба плывёт")
    metrics = select_metrics(["blind_spots_mine:latin", "blind_spots_mine:whole", "token-f1"], russian)
    found = describe_scoring([Rouge(), *metrics.plugins], russian)
    assert found.blind_spots.keys() == {"blind_spots_mine:latin"}
    assert "the same numbers for all 4 references" in found.blind_spots["blind_spots_mine:latin"]
    english = examples("one cat", "two dogs", "three birds")
    assert not describe_scoring([Rouge(), *metrics.plugins], english).blind_spots


@pytest.mark.parametrize(
    ("metric", "targets", "seen"),
    [
        ("bleu", ["今天天气很好", "我们去那里"], False),
        ("bleu", ["วันนี้อากาศดี", "แมวนอน"], False),
        ("bleu", ["сегодня тепло", "кошка спит"], True),
        ("bleu[tokenize=char]", ["今天天气很好", "我们去那里"], True),
        ("bleu[tokenize=zh]", ["今天天气很好", "我们去那里"], True),
        ("chrf", ["今天天气很好", "我们去那里"], True),
        ("token-f1", ["今天天气很好", "我们去那里"], True),
        ("exact-match", ["…", "the"], False),
    ],
)
def test_what_metrics_that_come_with_the_harness_see(metric, targets, seen):
    pytest.importorskip("sacrebleu")
    given = examples(*targets)
    metrics = select_metrics([metric], given)
    assert (metric not in describe_scoring(metrics.plugins, given).blind_spots) is seen


def test_bleu_of_another_tokenisation_is_another_metric():
    sacrebleu = pytest.importorskip("sacrebleu")
    given = examples("今天天气很好", "我们去那里吃饭")
    usual, by_character = select_metrics(["bleu", "bleu[tokenize=char]"], given).measure(
        given, ["今天天气不好", "我们去吃饭"]
    )
    assert set(usual.declared) == {"bleu"}
    assert [row["bleu[char]"] for row in by_character.rows] == [
        sacrebleu.sentence_bleu(text, list(one.references), tokenize="char").score / 100
        for text, one in zip(["今天天气不好", "我们去吃饭"], given, strict=True)
    ]
    assert by_character.rows[0]["bleu[char]"] > 0.3 > usual.rows[0]["bleu"]

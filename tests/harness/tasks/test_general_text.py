"""The general text: what the project ships, what a user's file gives, and what is refused before anything starts."""

from __future__ import annotations

import json

import pytest

from harness.cli import main
from harness.errors import DataError
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from harness.tasks import reading
from harness.tasks.embedded import generate
from harness.tasks.general_text import MAX_CHARACTERS, MAX_PASSAGES, load_general_text
from harness.worker.forgetting import shorten, split_in_half
from methods.registry import build

SENTENCE = "The quick brown fox number {} jumps over the lazy dog."


def passages(count: int) -> list[str]:
    return [SENTENCE.format(i) for i in range(count)]


def test_the_embedded_text_is_prose_of_its_own():
    text = load_general_text("embedded")
    assert text.name == "embedded"
    assert len(text.passages) == 76
    words = [len(passage.split()) for passage in text.passages]
    assert 40 <= min(words) <= max(words) <= 80
    assert not [passage for passage in text.passages if any(mark in passage for mark in ('"', "“", "#", "\n"))]
    task = " ".join(text for item in generate("test") for text in (item.dialogue, *item.summaries))
    assert not [passage for passage in text.passages if passage[:40] in task]
    # Whoever changes a passage makes older figures incomparable, which this is to remind of.
    assert text.fingerprint.startswith("e1fdf589fab545d8")


def test_nothing_is_measured_where_that_is_wished():
    text = load_general_text("none")
    method = build("lora")
    assert (text.passages, text.identity(method, "test"), text.details(method, "test")) == ((), {}, {})


def test_a_text_file_holds_passages_between_blank_lines(tmp_path):
    path = tmp_path / "mine.txt"
    some = passages(6)
    broken = some[1].replace("brown ", "brown\r\n   ")
    blocks = ["\ufeffA heading", some[0], " \t", broken, some[0], *some[2:]]
    path.write_bytes("\n\n".join(blocks).encode())
    text = load_general_text(str(path))
    assert text.passages == tuple(some)  # no heading, nothing twice, white space evened out
    assert text.details(build("lora"), "test") == {
        "general_text": {"name": "mine.txt", "fingerprint": text.fingerprint, "passages": 6}
    }


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_other_files_hold_a_column(tmp_path, ending):
    path = tmp_path / f"mine.{ending}"
    rows = [{"id": i, "text": text} for i, text in enumerate([*passages(6), "", "too short"])]
    if ending == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([*rows, {"id": 9, "text": None}]), path)
    elif ending == "csv":
        path.write_text("id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": 9, "text": None}]))
    assert load_general_text(str(path)).passages == tuple(passages(6))


def test_much_text_is_sampled_evenly_and_a_long_passage_is_read_in_part(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n\n".join([*passages(2 * MAX_PASSAGES), "word " * 4000]))
    text = load_general_text(str(path))
    assert len(text.passages) == MAX_PASSAGES
    assert text.passages[:3] == tuple(SENTENCE.format(i) for i in (0, 2, 4))
    path.write_text("\n\n".join([*passages(5), "word " * 4000]))
    assert load_general_text(str(path)).passages[-1] == ("word " * 4000)[: MAX_CHARACTERS - 1]


def test_the_hub(tmp_path, monkeypatch):
    """`load_dataset` itself, on a directory in the layout of the hub's repository."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in passages(10)))
    rows = reading._read_hub(str(tmp_path), None, "the text", "--general-text", 4).rows
    assert [row.fields["text"] for row in rows] == passages(4)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"^the general text nobody/nothing-of-this cannot be had .* --general-text FILE"
    ):
        load_general_text("nobody/nothing-of-this")


@pytest.mark.parametrize(
    ("passage", "first", "second"),
    [
        ("one two three four", "one two", " three four"),
        ("a verylongwordthatgoeson", "a", " verylongwordthatgoeson"),
        ("abcdef", "abc", "def"),
        ("ab", "a", "b"),
    ],
)
def test_halves(passage, first, second):
    assert split_in_half(passage) == (first, second)
    assert first + second == passage


def test_shortened_ends_at_a_word_and_at_last_no_more():
    assert shorten("one two three four") == "one two"
    assert shorten("abcdefgh") == "abcdef"
    passage = " ".join(passages(3))
    while (less := shorten(passage)) != passage:
        assert passage.startswith(less)
        passage = less
    assert len(passage) == 2


BAD = {
    "few.txt": "\n\n".join(passages(4)),
    "short.txt": "\n\n".join(f"Short line {i}." for i in range(50)),
    "empty.txt": "\n \n",
    "binary.txt": "some\0text",
    "column.csv": "body,id\nx,1\n",
    "number.jsonl": json.dumps({"text": passages(1)[0]}) + '\n{"text": 3}\n',
    "page.md": "text",
}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("few.txt", "few.txt: 4 different passages have 40 characters or more, and at least 5 are needed"),
        ("short.txt", "short.txt: 0 different passages"),
        ("empty.txt", "empty.txt is empty"),
        ("binary.txt", "binary.txt, line 1: holds binary data"),
        ("column.csv", "column.csv: no field 'text' (there: 'body', 'id')"),
        ("number.jsonl", "number.jsonl, line 2: 'text' holds a number, not text"),
        ("page.md", "page.md has the ending '.md'; data files end in one of .jsonl, .json, .csv, .tsv, .parquet, .txt"),
        ("absent.txt", "absent.txt does not exist"),
        ("embeded", "embeded does not exist"),
        (" ", "--general-text is empty"),
        (".", "is not a regular file"),
        ("nobody/nothing-of-this-name", "cannot be had from the hub"),
    ],
)
def test_bad_text_ends_with_2_and_one_sentence_before_anything_starts(tmp_path, monkeypatch, capsys, given, message):
    monkeypatch.chdir(tmp_path)
    for name, content in BAD.items():
        (tmp_path / name).write_text(content)
    toy = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--out", "out"]
    assert main([*toy, "--general-text", given]) == 2
    said = capsys.readouterr()
    (line,) = (said.out + said.err).strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_the_text_makes_another_trial_of_all_that_have_a_loss(tmp_path):
    (tmp_path / "mine.txt").write_text("\n\n".join(passages(5)))
    (tmp_path / "config.yaml").write_text(f"general_text: {tmp_path / 'mine.txt'}\n")

    def trials(**request):
        plan = make_plan(build_spec({"methods": "lora", "device": "cpu", **request}))
        return [(trial.trial_id, trial.draft.details, trial.request.general_text) for trial in plan.trials]

    usual, mine, none = trials(), trials(general_text=str(tmp_path / "mine.txt")), trials(general_text="none")
    assert trials(general_text="embedded") == usual
    for i in (0, 1):  # base and method
        assert len({trials[i][0] for trials in (usual, mine, none)}) == 3
        assert mine[i][1]["general_text"]["name"] == "mine.txt"
        assert str(tmp_path) not in json.dumps(mine[i][1])
        assert (mine[i][2], none[i][1].keys(), none[i][2]) == (tuple(passages(5)), {"scoring"}, ())
    toy = {"model": "toy", "task": "toy", "methods": "toy"}
    assert trials(**toy) == trials(**toy, general_text="none")


def test_it_may_stand_in_the_configuration(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text("model: toy\ntask: toy\nmethods: toy\ngeneral_text: absent.txt\n")
    assert main(["run", "--config", "spec.yaml"]) == 2
    assert "absent.txt does not exist" in capsys.readouterr().err

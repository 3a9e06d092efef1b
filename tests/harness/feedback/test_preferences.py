"""Pairs from files: what is read, what is left out and why, and how a tenth of them is held out."""

from __future__ import annotations

import csv
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.feedback.preferences import Preferences, load_preferences
from harness.tasks import Task, TaskRequest, load_task, reading
from methods.feedback import Preference

FIRST_TURN = "\n\nHuman: Name a fruit.\n\nAssistant:"


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task(TaskRequest("toy"))


def pair(i, **fields) -> dict:
    return {"prompt": f"question {i}", "chosen": f"good {i}", "rejected": f"bad {i}"} | fields


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def complaint(source, task, **more) -> str:
    with pytest.raises(DataError) as caught:
        load_preferences(source, task, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_place(found: Preferences) -> dict[str, Preference]:
    return {item.id: item for item in (*found.train, *found.heldout)}


def messages(*turns) -> list[dict]:
    return [{"role": role, "content": content} for role, content in turns]


def test_pairs_are_read_as_they_stand(tmp_path, task):
    found = load_preferences(write(tmp_path / "p.jsonl", [pair(i) for i in range(20)]), task)
    assert by_place(found)["line 3"] == Preference("line 3", "question 2", "good 2", "bad 2", "given")
    assert (len(found.train), len(found.heldout), found.left_out) == (18, 2, ())
    assert found.name == "p.jsonl"
    assert found.note == "18 pairs of p.jsonl to learn from and 2 held out by prompt (seed 0)"
    described = found.describe()
    assert described.pairs == {"train": 18, "heldout": 2}
    assert str(tmp_path) not in str(described)


BAD = {
    "no prompt": ({"chosen": "a", "rejected": "b"}, "no field 'prompt'"),
    "no rejected": ({"prompt": "p", "chosen": "a"}, "no field 'rejected'"),
    "nothing": ({}, "no field 'prompt' and 'chosen' and 'rejected'"),
    "null prompt": (pair(0, prompt=None), "empty 'prompt'"),
    "blank prompt": (pair(0, prompt=" \n"), "empty 'prompt'"),
    "blank chosen": (pair(0, chosen="\t"), "empty 'chosen'"),
    "null rejected": (pair(0, rejected=None), "empty 'rejected'"),
    "all blank": (pair(0, prompt="", chosen="", rejected=""), "empty 'prompt' and 'chosen' and 'rejected'"),
    "equal": (pair(0, chosen="x  y\n", rejected=" x y"), "chosen and rejected are equal"),
    "number": (pair(0, chosen=3), "'chosen' holds a number, neither text nor messages with role and content"),
    "list": (pair(0, chosen=["a"]), "'chosen' holds a list, neither text nor messages with role and content"),
    "half a pair": (pair(0, prompt="a\ud800"), "'prompt' holds half of a surrogate pair, which is not a character"),
    "test input": (pair(0, prompt="I  would like some\nlemon. "), "its prompt is a test input of the task"),
    "test input in a turn": (
        pair(0, prompt="\n\nHuman: I would like some kale.\n\nAssistant:"),
        "its prompt is a test input of the task",
    ),
}


@pytest.mark.parametrize(("row", "reason"), BAD.values(), ids=BAD)
def test_a_bad_row_is_left_out_and_listed_and_past_one_percent_refused(tmp_path, task, row, reason):
    good = [pair(i) for i in range(200)]
    found = load_preferences(write(tmp_path / "p.jsonl", [*good[:6], row, *good[6:]]), task)
    assert found.left_out == (f"p.jsonl line 7: {reason}",)
    assert found.note.endswith(f"; 1 rows left out (p.jsonl line 7: {reason})")
    assert found.describe().unusable == 1
    assert "line 7" not in by_place(found)
    assert len(by_place(found)) == 200

    path = write(tmp_path / "q.jsonl", [*good[:50], row])
    said = f"1 of 51 pairs (2.0%) cannot be used (q.jsonl line 51: {reason}); "
    assert complaint(path, task) == f"{path}: {said}correct them, or leave them out with --allow-unusable"
    assert len(by_place(load_preferences(path, task, allow_unusable=True))) == 50


def test_one_percent_is_tolerated_and_no_more(tmp_path, task):
    rows = [pair(i) for i in range(198)]
    assert len(load_preferences(write(tmp_path / "p.jsonl", [*rows, {}, {}]), task).left_out) == 2
    assert "3 of 201 pairs (1.5%)" in complaint(write(tmp_path / "p.jsonl", [*rows, {}, {}, {}]), task)


def test_no_pair_is_left(tmp_path, task):
    path = write(tmp_path / "p.jsonl", [pair(i, chosen="") for i in range(3)])
    message = complaint(path, task, allow_unusable=True)
    assert "3 of 3 pairs (100.0%) cannot be used" in message
    assert message.endswith("; correct them")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "chosn": "a", "rejected": "b"}, "no field 'chosen' (did you mean 'chosn'?)"),
        ({"prompt": "p", "chosen": "a"}, "no field 'rejected' (known: 'chosen', 'prompt')"),
        ({"promt": "p", "chosen": "a", "rejected": "b"}, "no field 'prompt' (did you mean 'promt'?)"),
        ({}, "no field 'chosen' (known: none)"),
    ],
)
def test_a_field_that_the_whole_file_lacks_stops_at_once(tmp_path, task, row, message):
    path = write(tmp_path / "p.jsonl", [row] * 3)
    assert complaint(path, task, allow_unusable=True).startswith(f"{path}: {message}")


def test_transcripts_part_after_the_last_assistant_that_both_share(tmp_path, task):
    rows = [
        {
            "chosen": f"{FIRST_TURN} An apple.\n\nHuman: Another, {i}.\n\nAssistant: I say a pear.",
            "rejected": f"{FIRST_TURN} An apple.\n\nHuman: Another, {i}.\n\nAssistant: I say a brick.\n\nHuman: What?",
        }
        for i in range(10)
    ]
    found = by_place(load_preferences(write(tmp_path / "hh.jsonl", rows), task))
    assert found["line 5"] == Preference(
        "line 5",
        f"{FIRST_TURN} An apple.\n\nHuman: Another, 4.\n\nAssistant:",
        "I say a pear.",
        "I say a brick.\n\nHuman: What?",
    )
    # Where the conversations part earlier, so does the prompt end.
    early = {"chosen": f"{FIRST_TURN} A fig.\n\nHuman: x\n\nAssistant: y", "rejected": f"{FIRST_TURN} A brick."}
    found = by_place(load_preferences(write(tmp_path / "hh.jsonl", [*rows, early]), task))
    assert found["line 11"].prompt == FIRST_TURN
    assert found["line 11"].chosen == "A fig.\n\nHuman: x\n\nAssistant: y"


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (
            "\n\nHuman: a\n\nAssistant: x",
            "\n\nHuman: b\n\nAssistant: y",
            "no common beginning that ends in 'Assistant:'",
        ),
        ("x", "y", "no common beginning that ends in 'Assistant:'"),
        ("\n\nAssistant: x", "\n\nAssistant: y", "no common beginning"),
        (f"{FIRST_TURN} x", f"{FIRST_TURN}  x ", "chosen and rejected are equal"),
        (f"{FIRST_TURN} x", f"{FIRST_TURN} ", "empty 'rejected'"),
        ("", None, "empty 'chosen' and 'rejected'"),
    ],
)
def test_bad_transcripts(tmp_path, task, chosen, rejected, reason):
    good = [{field: f"\n\nHuman: {i}\n\nAssistant: {field}" for field in ("chosen", "rejected")} for i in range(99)]
    row = {"chosen": chosen, "rejected": rejected}
    (line,) = load_preferences(write(tmp_path / "hh.jsonl", [*good, row]), task).left_out
    assert line.startswith("hh.jsonl line 100: ")
    assert reason in line


def test_messages_are_read_with_and_without_a_prompt_of_their_own(tmp_path, task):
    def rows(i):
        user, good, bad = ("user", f"q {i}"), ("assistant", "yes"), ("assistant", "no")
        earlier = (("system", "Be kind."), user, ("assistant", "hm"), ("user", "so?"))
        return [
            {"prompt": messages(user), "chosen": messages(good), "rejected": messages(bad)},
            {"prompt": messages(*earlier), "chosen": messages(good), "rejected": messages(bad)},
        ], [
            {"chosen": messages(user, good), "rejected": messages(user, bad)},
            {"chosen": messages(*earlier, good), "rejected": messages(*earlier, bad)},
        ]

    explicit = [row for i in range(9) for row in rows(i)[0]]
    implicit = [row for i in range(9) for row in rows(i)[1]]
    found = load_preferences(write(tmp_path / "a.jsonl", explicit), task)
    assert by_place(found)["line 1"] == Preference("line 1", "q 0", "yes", "no")
    assert by_place(found)["line 4"] == Preference(
        "line 4", "\n\nsystem: Be kind.\n\nHuman: q 1\n\nAssistant: hm\n\nHuman: so?\n\nAssistant:", "yes", "no"
    )
    assert load_preferences(write(tmp_path / "b.jsonl", implicit), task).fingerprint == found.fingerprint
    # Some data sets have a prompt and repeat it.
    both = [{"prompt": "whatever", **row} for row in implicit]
    assert load_preferences(write(tmp_path / "b.jsonl", both), task).fingerprint == found.fingerprint

    talk, other = messages(("user", "q"), ("assistant", "x")), messages(("user", "r"), ("assistant", "y"))
    equal, strangers = {"chosen": talk, "rejected": talk}, {"chosen": talk, "rejected": other}
    left_out = load_preferences(write(tmp_path / "c.jsonl", [*implicit * 12, equal, strangers]), task).left_out
    assert left_out == ("c.jsonl line 217: chosen and rejected are equal", "c.jsonl line 218: empty 'prompt'")


def test_every_format_gives_the_same_pairs(tmp_path, task):
    import pyarrow
    import pyarrow.parquet

    rows = [pair(i, prompt=f'say "{i}",\nplease') for i in range(12)]
    write(tmp_path / "p.jsonl", rows)
    (tmp_path / "p.json").write_text(json.dumps(rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    for ending, delimiter in ((".csv", ","), (".tsv", "\t")):
        with (tmp_path / f"p{ending}").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    read = {}
    for ending in ("jsonl", "json", "csv", "tsv", "parquet"):
        found = load_preferences(str(tmp_path / f"p.{ending}"), task)
        read[ending] = [[(p.prompt, p.chosen, p.rejected) for p in part] for part in (found.train, found.heldout)]
    assert all(pairs == read["jsonl"] for pairs in read.values())
    assert sum(map(len, read["jsonl"])) == 12


def test_rows_of_csv_and_parquet_are_named_by_their_place(tmp_path, task):
    import pyarrow
    import pyarrow.parquet

    rows = [pair(i) for i in range(120)]
    lines = [f"{row['prompt']},{row['chosen']},{row['rejected']}\n" for row in rows]
    # The quoted prompt fills lines 122 and 123, so that the row after it stands in line 124.
    bad = ['"two\nlines",a,b\n', "q,same,same\n"]
    (tmp_path / "p.csv").write_text("".join(["prompt,chosen,rejected\n", *lines, *bad]))
    found = load_preferences(str(tmp_path / "p.csv"), task)
    assert found.left_out == ("p.csv line 124: chosen and rejected are equal",)

    asked, answered = ("user", "q"), ("assistant", "a")
    nested = [{"chosen": messages(asked, answered), "rejected": messages(asked)}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([*rows, pair(0, chosen=None)]), tmp_path / "p.parquet")
    found = load_preferences(str(tmp_path / "p.parquet"), task)
    assert found.left_out == ("p.parquet row 121: empty 'chosen'",)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(nested), tmp_path / "m.parquet")
    assert "m.parquet row 1: empty 'prompt'" in complaint(str(tmp_path / "m.parquet"), task)


def test_a_tenth_is_held_out_and_no_prompt_is_on_both_sides(tmp_path, task):
    # Three pairs to a prompt, which comes with different white space.
    rows = [pair(i, prompt=f"question{' ' * (1 + i % 3)}{i // 3}") for i in range(300)]
    path = write(tmp_path / "p.jsonl", rows)
    found = load_preferences(path, task)
    prompts = [{" ".join(p.prompt.split()) for p in part} for part in (found.train, found.heldout)]
    assert not prompts[0] & prompts[1]
    assert (len(found.train), len(found.heldout)) == (270, 30)
    assert load_preferences(path, task) == found
    other = load_preferences(path, task, seed=1)
    assert {p.id for p in other.heldout} != {p.id for p in found.heldout}
    assert other.fingerprint != found.fingerprint


@pytest.mark.parametrize(("pairs", "heldout"), [(2, 1), (9, 1), (25, 2), (2500, 200)])
def test_how_many_are_held_out(tmp_path, task, pairs, heldout):
    found = load_preferences(write(tmp_path / "p.jsonl", [pair(i) for i in range(pairs)]), task)
    assert (len(found.train), len(found.heldout)) == (pairs - heldout, heldout)


def test_at_most_200_are_held_out_even_where_each_prompt_has_more(tmp_path, task):
    rows = [pair(i, prompt=f"question {i % 2}") for i in range(500)]
    found = load_preferences(write(tmp_path / "p.jsonl", rows), task)
    assert (len(found.train), len(found.heldout)) == (250, 200)


def test_one_prompt_alone_cannot_be_held_out(tmp_path, task):
    path = write(tmp_path / "p.jsonl", [pair(i, prompt="same") for i in range(20)])
    assert complaint(path, task) == f"{path}: too few different inputs to hold out a preference split; add rows"


@pytest.mark.parametrize("field", ["prompt", "chosen", "rejected"])
def test_the_fingerprint_sees_every_text(tmp_path, task, field):
    rows = [pair(i) for i in range(10)]
    found = load_preferences(write(tmp_path / "p.jsonl", rows), task)
    assert re.fullmatch(r"[0-9a-f]{64}", found.fingerprint)
    changed = [*rows[:-1], pair(9, **{field: "other"})]
    assert load_preferences(write(tmp_path / "q.jsonl", changed), task).fingerprint != found.fingerprint
    assert load_preferences(write(tmp_path / "q.jsonl", rows), task).fingerprint == found.fingerprint


def test_a_file_that_cannot_be_read(tmp_path, task):
    assert complaint(str(tmp_path / "none.jsonl"), task).endswith("none.jsonl does not exist; check the path")
    assert "ending '.txt'" in complaint(write(tmp_path / "p.txt", [pair(0)]), task)
    (tmp_path / "p.jsonl").write_text(json.dumps(pair(0)) + "\n{")
    assert ", line 2: not valid JSON" in complaint(str(tmp_path / "p.jsonl"), task)
    assert complaint(" ", task) == "--preferences is empty; name the data there"
    assert "is not a regular file" in complaint(str(tmp_path), task)


def test_hub_out_of_reach(task, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    message = complaint("nobody/nothing-of-this-name@main", task)
    assert message.startswith("the preferences nobody/nothing-of-this-name@main cannot be had from the hub (")


def test_hub_layout(tmp_path, monkeypatch):
    """`load_dataset` itself, on a directory in the layout of the hub's repository."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        write(tmp_path / split / f"{split}.jsonl", [pair(i) for i in range(10)])
    rows = reading._read_hub(str(tmp_path / "train"), None, "the pairs", "--preferences", None).rows
    assert [row.fields for row in rows] == [pair(i) for i in range(10)]
    assert rows[2].place == "row 3"
    with pytest.raises(DataError, match=r"no split 'train' \(there: test\)"):
        reading._read_hub(str(tmp_path / "test"), None, "the pairs", "--preferences", None)


SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["prompt", "chosen", "rejected", "role", "content"]), inner)
    ),
    max_leaves=6,
)
TEXT = st.lists(
    st.sampled_from(["\n\nHuman:", "\n\nAssistant:", " ", "a", "b", "I would like some lemon.", "\ud800"])
    | st.text(st.characters(exclude_categories=()), max_size=2),
    max_size=6,
).map("".join)
ROLE = st.sampled_from(["user", "assistant"]) | JSON
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLE, "content": TEXT}), max_size=3)
ROW = st.dictionaries(st.sampled_from(["prompt", "chosen", "rejected", "id"]), TEXT | MESSAGES | JSON, max_size=4)
TALK = st.tuples(TEXT, TEXT, TEXT).map(lambda t: {"chosen": t[0] + t[1], "rejected": t[0] + t[2]})
PAIR = st.integers(0, 5).map(pair)
TURNS = st.integers(0, 5).map(
    lambda i: {field: f"\n\nHuman: {i}\n\nAssistant: {field}" for field in ("chosen", "rejected")}
)
ROWS = st.lists(PAIR | ROW, max_size=8) | st.lists(TURNS | TALK, max_size=8) | st.lists(ROW | JSON, max_size=4)


def survives(path, task, **more) -> None:
    """Loading gives pairs that are whole, or one sentence that names the file."""
    message = None
    try:
        found = load_preferences(str(path), task, **more)
    except DataError as error:
        message = str(error)
    if message is not None:
        assert str(path) in message
        assert "\n" not in message
        return
    assert found.train
    assert found.heldout
    assert not {" ".join(p.prompt.split()) for p in found.train} & {" ".join(p.prompt.split()) for p in found.heldout}
    for item in (*found.train, *found.heldout):
        assert item.prompt.strip()
        assert item.chosen.split() != item.rejected.split()
        assert item.chosen.strip()
        assert item.rejected.strip()
        assert "I would like some lemon." not in (item.prompt, item.prompt.strip())


@SETTINGS
@given(rows=ROWS, allow=st.booleans(), whole=st.booleans())
def test_random_rows_never_raise_anything_else(tmp_path, task, rows, allow, whole):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(rows) if whole else "\n".join(map(json.dumps, rows)))
    survives(path, task, allow_unusable=allow)


@SETTINGS
@given(
    content=st.binary(max_size=200),
    ending=st.sampled_from(["jsonl", "json", "csv", "tsv", "parquet"]),
    head=st.sampled_from(
        [b"", b"prompt,chosen,rejected\n", b"chosen\trejected\n", json.dumps(pair(0)).encode() + b"\n"]
    ),
)
def test_random_bytes_never_raise_anything_else(tmp_path, task, content, ending, head):
    path = tmp_path / f"d.{ending}"
    path.write_bytes(head + content)
    survives(path, task)

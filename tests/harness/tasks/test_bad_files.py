"""Whatever a data file holds, the answer is one `DataError` that names file, line or field and what to do."""

from __future__ import annotations

import json
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.tasks import Task, TaskRequest, load_task

GOOD = b'{"text": "a", "label": "b"}\n'


def load(path, **more) -> Task:
    return load_task(TaskRequest("file", data=str(path), input_field="text", target_fields=("label",), **more))


def complaint(path, **more) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **more)
    return str(caught.value)


BAD = {
    "empty": ("d.jsonl", b"", ["is empty"]),
    "blank lines": ("d.jsonl", b"\n  \n", ["is empty"]),
    "csv header alone": ("d.csv", b"text,label\n", ["is empty"]),
    "empty csv": ("d.csv", b"", ["is empty"]),
    "empty list": ("d.json", b"[]", ["is empty"]),
    "unknown ending": ("d.txt", GOOD, ["'.txt'", ".jsonl", ".parquet"]),
    "no ending": ("data", GOOD, [".jsonl"]),
    "bad JSON": ("d.jsonl", GOOD + b'{"text": \n', ["line 2", "not valid JSON", "column"]),
    "cut JSON": ("d.jsonl", GOOD + GOOD + b'{"text": "a", "lab', ["line 3", "not valid JSON"]),
    "bad JSON list": ("d.json", b'[\n{"text": "a"},\n{]\n', ["line 3", "not valid JSON"]),
    "list row": ("d.jsonl", GOOD + b'["a", "b"]\n', ["line 2", "holds a list, not a JSON object"]),
    "text row": ("d.jsonl", b'"a"\n', ["line 1", "holds text, not a JSON object"]),
    "null row": ("d.jsonl", b"null\n", ["line 1", "holds null"]),
    "list in a list": ("d.json", b'[{"text": "a", "label": "b"}, [1]]', ["item 2", "holds a list"]),
    "endless nesting": ("d.jsonl", b"[" * 200_000 + b"\n", ["line 1"]),
    "endless number": ("d.jsonl", b'{"text": ' + b"9" * 5000 + b"}\n", ["line 1"]),
    "number": ("d.jsonl", GOOD + b'{"text": "a", "label": 3}\n', ["line 2", "'label' holds a number"]),
    "NaN": ("d.jsonl", b'{"text": "a", "label": NaN}\n', ["line 1", "'label' holds a number"]),
    "bool": ("d.jsonl", b'{"text": true, "label": "b"}\n', ["line 1", "'text' holds true or false"]),
    "list value": ("d.jsonl", b'{"text": ["a"], "label": "b"}\n', ["line 1", "'text' holds a list"]),
    "object value": ("d.jsonl", b'{"text": {}, "label": "b"}\n', ["line 1", "'text' holds an object"]),
    "half a pair": ("d.jsonl", b'{"text": "\\ud800", "label": "b"}\n', ["line 1", "'text'", "surrogate"]),
    "missing everywhere": (
        "d.jsonl",
        b'{"texts": "a", "label": "b"}\n',
        ["no field 'text'", "'texts', 'label'", "did you mean 'texts'?"],
    ),
    "missing in a row": ("d.jsonl", GOOD + b'{"txt": "a", "label": ""}\n', ["line 2: no field 'text'"]),
    "missing column": ("d.csv", b"question,answer\n1,2\n", ["no field 'text'", "'question', 'answer'"]),
    "empty object": ("d.jsonl", b"{}\n", ["no field 'text'", "none"]),
    "empty target": ("d.jsonl", GOOD + b'{"text": "c", "label": ""}\n', ["line 2: empty 'label'"]),
    "null target": ("d.jsonl", b'{"text": "c", "label": null}\n' + GOOD, ["line 1", "empty 'label'"]),
    "empty input": ("d.csv", b"text,label\n  ,b\n", ["line 2", "empty 'text'", "--allow-unusable"]),
    "both empty": ("d.csv", b"text,label\n,\n", ["line 2", "empty 'text' and 'label'"]),
    "binary": ("d.jsonl", b"\x89PNG\r\n\x00\x00", ["line 1", "UTF-8"]),
    "NUL": ("d.csv", b"text,label\na,b\0\n", ["line 2", "binary"]),
    "Latin-1": ("d.jsonl", GOOD + '{"text": "é", "label": "b"}\n'.encode("latin-1"), ["line 2", "UTF-8"]),
    "Latin-1 csv": ("d.csv", "text,label\na,é\n".encode("latin-1"), ["line 2", "UTF-8"]),
    "UTF-16": ("d.csv", "text,label\na,b\n".encode("utf-16"), ["line 1"]),
    "too few cells": ("d.csv", b"text,label\na,b\na\n", ["line 3", "1 cells where the header has 2"]),
    "too many cells": ("d.tsv", b"text\tlabel\na\tb\tc\n", ["line 2", "3 cells where the header has 2"]),
    "open quote": ("d.csv", b'text,label\na,b\n"a,b\nc,d\n', ["line 3", "not valid CSV"]),
    "stray quote": ("d.csv", b'text,label\n"a"x,b\n', ["line 2", "not valid CSV"]),
    "column twice": ("d.csv", b"text,label,text\na,b,c\n", ["line 1", "'text' twice"]),
    "not Parquet": ("d.parquet", GOOD, ["not a readable Parquet file"]),
    "empty Parquet": ("d.parquet", b"", ["not a readable Parquet file"]),
    "id twice": (
        "d.jsonl",
        b'{"id": "x", "text": "a", "label": "b"}\n' * 2,
        ["line 2", "'x'", "'id'", "line 1"],
    ),
    "id twice as number and text": (
        "d.jsonl",
        b'{"id": 1, "text": "a", "label": "b"}\n{"id": "1", "text": "c", "label": "d"}\n',
        ["line 2", "'1'", "line 1"],
    ),
    "id of an empty row": (
        "d.csv",
        b"fname,text,label\nx,,b\nx,a,b\n",
        ["line 3", "'fname'", "line 2"],
    ),
    "empty id": ("d.csv", b"id,text,label\n,a,b\n", ["line 2", "'id' holds no id"]),
    "id of another type": ("d.jsonl", b'{"id": [1], "text": "a", "label": "b"}\n', ["line 1", "a list"]),
    "id missing": (
        "d.jsonl",
        b'{"id": "1", "text": "a", "label": "b"}\n' + GOOD,
        ["line 2: no field 'id'"],
    ),
    "one row": ("d.jsonl", GOOD, ["too few different inputs"]),
    "one input": ("d.jsonl", GOOD * 50, ["too few different inputs"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "parts"), BAD.values(), ids=BAD)
def test_bad_file_gets_one_sentence(tmp_path, name, content, parts):
    path = tmp_path / name
    path.write_bytes(content)
    message = complaint(path)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_bad_test_file_is_named(tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_bytes(GOOD)
    test.write_bytes(b"{\n")
    assert complaint(train, test=str(test)).startswith(f"{test}, line 1: not valid JSON")
    assert "--test is empty" in complaint(train, test="")


def test_a_path_that_is_no_file(tmp_path):
    assert complaint(tmp_path / "none.jsonl") == f"{tmp_path}/none.jsonl does not exist; check the path"
    (tmp_path / "d.jsonl").mkdir()
    assert "is not a regular file" in complaint(tmp_path / "d.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "is not a regular file" in complaint(tmp_path / "pipe.jsonl")
    assert "cannot be read" in complaint(tmp_path / ("x" * 300 + ".jsonl"))
    assert complaint("~no-such-user-here/d.jsonl").startswith("~no-such-user-here/d.jsonl cannot be read")
    assert "d.jsonl" in complaint("a\0d.jsonl")


def test_a_file_that_fails_while_it_is_read(tmp_path):
    path = tmp_path / "d.jsonl"
    path.symlink_to("/proc/self/mem")  # opens, and then gives an I/O error, to root too
    assert complaint(path).startswith(f"{path} cannot be read (")


def test_parquet_values_of_other_types_and_doubled_columns(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1.5, None]}), path)
    assert complaint(path).startswith(f"{path}, row 1: field 'label' holds a number")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [None, "x"]}), path)
    assert "d.parquet row 1: empty 'label'" in complaint(path)
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"])
    pyarrow.parquet.write_table(twice, path)
    assert "'text' twice" in complaint(path)


SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "label"]), inner),
    max_leaves=6,
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=4)  # half surrogate pairs too
ROW = st.fixed_dictionaries({"text": TEXT | st.none() | JSON, "label": TEXT}, optional={"id": st.integers(0, 9) | TEXT})


def survives(path, **more) -> None:
    """Loading gives a task that is whole, or one sentence that names the file."""
    try:
        task = load(path, **more)
    except DataError as error:
        message = str(error)
    else:
        assert all(e.input.strip() and e.target.strip() for split in task.splits.values() for e in split)
        assert all(task.splits.values())
        return
    assert str(path) in message
    assert "\n" not in message


@SETTINGS
@given(
    content=st.binary(max_size=200),
    ending=st.sampled_from(["jsonl", "json", "csv", "tsv", "parquet"]),
    head=st.sampled_from([b"", b"text,label\n", b"text\tlabel\n", GOOD, b"[" + GOOD, b"PAR1"]),
)
def test_random_bytes_never_raise_anything_else(tmp_path, content, ending, head):
    path = tmp_path / f"d.{ending}"
    path.write_bytes(head + content)
    survives(path)


@SETTINGS
@given(lines=st.lists(ROW | JSON, max_size=8), allow=st.booleans(), whole=st.booleans())
def test_random_json_never_raises_anything_else(tmp_path, lines, allow, whole):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(lines) if whole else "\n".join(map(json.dumps, lines)))
    survives(path, allow_unusable=allow)


@SETTINGS
@given(cells=st.lists(st.tuples(st.text(string.printable + "é\u2028", max_size=6), TEXT), max_size=8))
def test_random_cells_never_raise_anything_else(tmp_path, cells):
    path = tmp_path / "d.csv"
    content = "text,label\n" + "".join(f"{a},{b}\n" for a, b in cells)
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    survives(path, allow_unusable=True)


@SETTINGS
@given(position=st.integers(0, 5000), byte=st.integers(0, 255))
def test_damaged_parquet_never_raises_anything_else(tmp_path, position, byte):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "d.parquet"
    table = pyarrow.table({"text": [f"i{i}" for i in range(20)], "label": ["x"] * 20})
    pyarrow.parquet.write_table(table, path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    survives(path)

"""Malformed data files, preferences and model directories: exit code 2, one sentence, no traceback, nothing written.

Each property breaks something valid in a known way, and sends it through the command line in this process. The last
two methods of every request are the same, which planning refuses at its very end: a request that turned out to be
valid is known by that sentence, does not count, and starts nothing.
"""

from __future__ import annotations

import csv
import functools
import io
import json

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from .malformed import DOCUMENTS, ODD, RUBBISH, TEXT, TOY, TWINS, check_counts, damage, examples

FILE = ("run", "--model=toy", "--task=file", "--input-field=text", "--target-field=label", f"--methods={TWINS}")
AT_LEAST = 700

pytestmark = pytest.mark.slow

# Data

ENDINGS = ("jsonl", "json", "csv", "tsv", "parquet")
ROWS = [{"id": f"n{i}", "text": f"what is {i}?", "label": f"it is {i}"} for i in range(12)]
PAIRS = [{"prompt": f"why {i}?", "chosen": f"since {i}", "rejected": f"no {i}"} for i in range(12)]


def write_rows(rows, ending) -> bytes:
    """Rows as a file of this kind, as far as it can hold them."""
    if ending == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if ending == "json":
        return json.dumps(rows).encode()
    rows = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if ending in ("csv", "tsv"):
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter="," if ending == "csv" else "\t", lineterminator="\n")
        writer.writerow(names)
        writer.writerows([row[name] for name in names if name in row] for row in rows)
        return stream.getvalue().encode("utf-8", "surrogatepass")
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
        pyarrow.parquet.write_table(table, stream := pyarrow.BufferOutputStream())
    except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError):
        reject()  # which Parquet cannot hold
    return stream.getvalue().to_pybytes()


@functools.cache
def write_whole(ending, pairs) -> bytes:
    return write_rows(PAIRS if pairs else ROWS, ending)


@st.composite
def break_rows(draw, rows, ending):
    """A file of rows, one or all of which are not what they should be."""
    rows, field = [dict(row) for row in rows], draw(st.sampled_from(list(rows[0])))
    chosen = draw(st.lists(st.sampled_from(rows), min_size=1, max_size=3)) if draw(st.booleans()) else rows
    ways = ["rubbish", "half a pair", "empty", *(["alike"] if field == "id" else ["missing", "renamed", "few"])]
    way = draw(st.sampled_from([*ways, *(["no row"] if ending in ("json", "jsonl") else [])]))
    if way == "few":
        rows = rows[: draw(st.integers(0, 1))]
    elif way == "no row":
        rows.insert(draw(st.integers(0, len(rows))), draw(RUBBISH.filter(lambda value: not isinstance(value, dict))))
    else:
        values = {"empty": st.sampled_from(["", " ", "\n\t", None]), "alike": st.just("x"), "rubbish": RUBBISH}
        values["half a pair"] = st.just("\udc00")
        put = draw(values[way]) if way in values else draw(TEXT)
        for row in chosen:
            held = row.pop(field, "")
            if way == "renamed":
                row[put] = held
            elif way in values:
                row[field] = put
    return write_rows(rows, ending)


@st.composite
def draw_data_file(draw, rows):
    """(name, content) of a file that is most likely no data: of broken rows, damaged, random or misnamed."""
    ending = draw(st.sampled_from(ENDINGS))
    way = draw(st.sampled_from(["rows", "rows", "rows", "damaged", "random", "misnamed", "document"]))
    if way == "rows":
        return f"d.{ending}", draw(break_rows(rows, ending))
    if way == "damaged":
        return f"d.{ending}", draw(damage(write_whole(ending, rows is PAIRS)))
    if way == "misnamed":
        others = [f".{other}" for other in ENDINGS if other[:4] != ending[:4]]  # JSONL may be called JSON
        other = draw(st.sampled_from(["", ".", ".txt", ".gz", ".jsonl.gz", ".arrow", *others]))
        return f"d{other}", write_whole(ending, rows is PAIRS)
    if way == "document":
        return f"d.{ending}", draw(DOCUMENTS)
    head = draw(st.sampled_from([b"", b"id,text,label\n", b"[", b'{"text": ', b"PAR1", b"\xef\xbb\xbf", b"\x1f\x8b"]))
    return f"d.{ending}", head + draw(st.binary(max_size=80))


@examples(450)
@given(file=draw_data_file(ROWS), allow=st.sampled_from([False, False, False, True]), as_test=st.booleans())
def test_data_files(refuse, tmp_path, file, allow, as_test):
    name, content = file
    (tmp_path / name).write_bytes(content)
    if as_test:
        (tmp_path / "train.jsonl").write_bytes(write_rows([{"text": f"t{i}", "label": "x"} for i in range(9)], "jsonl"))
    data = ("--data=../train.jsonl", f"--test=../{name}") if as_test else (f"--data=../{name}",)
    refuse(*FILE, *data, *(["--allow-unusable"] if allow else []))


@examples(60)
@given(fields=st.lists(TEXT | ODD | st.sampled_from(["text", "label", "label,text"]), min_size=2, max_size=2))
def test_fields_that_are_not_in_the_data(refuse, tmp_path, fields):
    (tmp_path / "d.jsonl").write_bytes(write_rows(ROWS, "jsonl"))
    source, target = fields
    refuse(*FILE, "--data=../d.jsonl", f"--input-field={source}", f"--target-field={target}")


@examples(250)
@given(file=draw_data_file(PAIRS), allow=st.sampled_from([False, False, False, True]))
def test_preference_files(refuse, tmp_path, file, allow):
    name, content = file
    (tmp_path / name).write_bytes(content)
    refuse(*TOY, f"--methods=dpo,{TWINS}", f"--preferences=../{name}", *(["--allow-unusable"] if allow else []))


# Models

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 2048}
WEIGHTS = b"\2\0\0\0\0\0\0\0{}"
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": WEIGHTS,
    "model.safetensors.index.json": b'{"weight_map": {"a": "model.safetensors"}}',
}


@st.composite
def draw_model_folder(draw):
    """The files of a model directory, one of which is damaged, of other values, or not there."""
    name = draw(st.sampled_from(sorted(FILES)))
    files = dict(FILES)
    if name == "model.safetensors.index.json":
        del files["model.safetensors"]
        index = draw(st.one_of(RUBBISH, st.dictionaries(st.just("weight_map"), RUBBISH, min_size=1)))
        files[name] = json.dumps(index).encode()
    elif name == "config.json" and draw(st.booleans()):
        keys = st.sampled_from([*CONFIG, "is_encoder_decoder", "auto_map"])
        files[name] = json.dumps({**CONFIG, **draw(st.dictionaries(keys, RUBBISH, min_size=1, max_size=2))}).encode()
    else:
        files[name] = draw(damage(FILES[name]) | st.binary(max_size=30))
    if draw(st.integers(0, 9)) == 0:
        del files[name]
    return files


@examples(150)
@given(files=draw_model_folder())
def test_model_directories(refuse, tmp_path, files):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for name, content in {**files, "tokenizer.json": b"{}"}.items():
        (folder / name).write_bytes(content)
    refuse("run", "--model=../model", "--task=toy", "--device=cpu", f"--methods={TWINS}")


def test_enough_inputs_were_refused_and_none_ended_in_a_traceback(capsys):
    check_counts(globals(), AT_LEAST, capsys)

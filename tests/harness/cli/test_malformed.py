"""Whatever is wrong with a request or a file: exit code 2, one sentence, no traceback, nothing written.

Each property breaks something valid in a way that is known, and sends it through the command line's own door, in this
process. The last of the methods in every request is the same as the one before it, which planning refuses at its very
end: an input that turned out valid is known by that sentence, does not count, and starts nothing.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
from collections import Counter

import pytest
import yaml
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from harness.cli import main
from harness.spec.spec import KEYS

TWINS = "toy,toy[warmup=0.05]"
VALID = "the variants 'toy' and 'toy[warmup=0.05]' are the same"
TOY = ("run", "--model=toy", "--task=toy")
FILE = ("run", "--model=toy", "--task=file", "--input-field=text", "--target-field=label", f"--methods={TWINS}")
AT_LEAST = 2_000

pytestmark = [pytest.mark.slow, pytest.mark.own]

refused: Counter[str] = Counter()
tracebacks: Counter[str] = Counter()


def examples(number):
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


@pytest.fixture
def refuse(tmp_path, monkeypatch, request):
    """A function that runs a command line in an empty directory and makes sure that it is refused as it should be."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    kind = request.node.originalname

    def refuse(*arguments: str) -> str:
        errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")  # as the real one: it never fails
        usage = False
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                code = main(arguments)
        except SystemExit as end:  # argparse has said it in its own words
            code, usage = end.code, True
        except Exception:
            tracebacks[kind] += 1
            raise
        errors.seek(0)
        text = errors.read()
        if VALID in text:
            reject()
        assert code == 2, text
        assert not list((tmp_path / "here").iterdir())
        if usage:
            assert ": error: " in text
        else:
            assert text.startswith("error: ")
            assert text.count("\n") == 1, text
            assert text.endswith("\n")
        refused[kind] += 1
        return text

    return refuse


# What goes wrong with values

CHARACTERS = st.characters(exclude_categories=())  # half surrogate pairs, NUL and line ends too
TEXT = st.text(CHARACTERS, max_size=12)
ODD = st.sampled_from(
    ["", " ", "\0", "a\0b", "a\nb", "\ud800", "-1", "0", "1.5", "nan", "inf", "1e999", "9" * 5000, "x" * 5000, "[",
     "]", "=", ",", "{input}{input}", "../../x", "/", "~nobody-here", "%s", "${HOME}", "null", "None", "True", "[1, 2]"]
)  # fmt: skip
RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(10**20, 10**40) | TEXT | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FLAGS = sorted("--" + key.replace("_", "-").replace("target-fields", "target-field") for key in KEYS - {"methods"})
SWITCHES = ("--allow-unusable", "--keep-checkpoints", "--save-models", "--trust-remote-code")


@examples(400)
@given(flags=st.lists(st.tuples(st.sampled_from(FLAGS), TEXT | ODD), min_size=1, max_size=3))
def test_flags(refuse, flags):
    refuse(*TOY, f"--methods={TWINS}", *(f"{flag}={value}" for flag, value in flags))


@examples(60)
@given(name=TEXT, value=st.lists(TEXT, max_size=1))
def test_flags_that_there_are_not(refuse, name, value):
    refuse(*TOY, f"--methods={TWINS}", f"--x{name}", *value)


@pytest.mark.parametrize("out", ["a\0b", "\ud800", "x" * 300, "/dev/null/x", "a\n\0b"])
def test_run_directories_that_cannot_be(refuse, out):
    assert "--out" in refuse("run", "--model=toy", "--task=toy", "--methods=toy", f"--out={out}")


@examples(60)
@example(flag="--data", path="a\nb.csv")
@example(flag="--model", path="~nobody-here")
@given(flag=st.sampled_from(["--data", "--test", "--config", "--model"]), path=TEXT | ODD)
def test_paths_that_lead_nowhere(refuse, flag, path):
    refuse(*FILE, f"--data={__file__}" if flag == "--test" else "--data=none.csv", f"{flag}={path}")


PIECE = st.sampled_from(
    ["toy", "lora", "base", "r", "rr", "ending", "warmup", "=", "=x", "[", "]", "|", ",", ".", " ", "1"]
)


@examples(200)
@given(pieces=st.lists(PIECE | TEXT, min_size=1, max_size=8))
def test_methods(refuse, pieces):
    refuse(*TOY, f"--methods={''.join(pieces)},{TWINS}")


@examples(150)
@example(value=[{"lora": []}])
@example(value=[{"toy": {"warmup": []}}])
@given(value=st.lists(st.dictionaries(PIECE | TEXT, RUBBISH, min_size=1, max_size=2), min_size=1, max_size=2))
def test_methods_in_yaml(refuse, tmp_path, value):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.dump({**REQUEST, "methods": [*value, *TWINS.split(",")]}), encoding="utf-8", errors="replace")
    refuse("run", f"--config={path}")


@examples(150)
@given(pieces=st.lists(PIECE | TEXT | ODD, max_size=5))
def test_settings_of_methods(refuse, pieces):
    refuse(*TOY, f"--methods={TWINS}", f"--set={''.join(pieces)}")


# YAML

REQUEST = {
    "model": "toy",
    "task": "toy",
    "methods": TWINS.split(","),
    "seeds": [0, 1],
    "budget": {"steps": 3},
    "batch_size": 4,
    "set": {"toy.learning_rate": 0.1},
    "trial_timeout": 60,
}


@examples(300)
@given(changes=st.dictionaries(st.sampled_from(sorted(KEYS)) | TEXT, RUBBISH, min_size=1, max_size=2))
def test_yaml_of_other_values(refuse, tmp_path, changes):
    path = tmp_path / "spec.yaml"
    # ASCII with escapes: what is half a pair, or no character at all, still reaches the reader.
    path.write_text(yaml.dump({**REQUEST, **changes}, Dumper=yaml.SafeDumper), encoding="utf-8", errors="replace")
    refuse("run", f"--config={path}")


WHOLE = yaml.safe_dump(REQUEST).encode()
BYTES = st.sampled_from(
    [b"\0", b"\t", b"\xed\xa0\x80", b"[", b"]", b"{", b"}", b": ", b"- ", b"'", b'"', b"&a ", b"*a", b"!!",
     b"%", b"|", b">", b"#", b"\n", b"\r", b"---\n", b"...\n", b"@", b"`", b"? ", b"<<: ", b"\xef\xbb\xbf", b"1", b"0x"]
) | st.binary(min_size=1, max_size=4)  # fmt: skip
DOCUMENTS = st.sampled_from(
    [b"", b"\0", b"[]", b"5", b"a", b"- a\n- b\n", b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"? " * 3000, b"a: b: c",
     b"0x" + b"f" * 5000 + b": 1",
     b"model: !!python/object/apply:os.system ['true']", b"model: !x y", b"methods: *none", b"model: toy\nmodel: toy",
     b"seeds: " + b"9" * 5000, b"seeds: 0x" + b"f" * 5000, b"batch_size: 0x" + b"f" * 5000,
     b"a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
     b"model: [*c,*c,*c,*c,*c,*c,*c,*c]", b"model: &a [*a]", b"seeds: 2020-02-30", b"seeds: 2020-01-01 99:99:99",
     b"budget: {steps: 0b" + b"1" * 20000 + b"}", b"price_per_hour: 1e9999", b"x: !!binary '*'", b"x: !!set {a, b}",
     b"seeds: 1:99:99999999999999999999", b"? [a]\n: b", b"? {a: b}\n: c", b"!!timestamp x: y", b"!!float x: y",
     "model: toy".encode("utf-16"), "model: é".encode("latin-1"), b"\xff\xfe", b"%YAML 9.9\n---\nmodel: toy"]
)  # fmt: skip


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """The content cut off, with something put in or overwritten, or with a part of it twice."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    way = draw(st.sampled_from(["cut", "put", "overwrite", "twice", "encoding"]))
    if way == "cut":
        return whole[:start]
    if way == "twice":
        return whole[:end] + whole[start:]
    if way == "encoding":
        return whole.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-7", "cp037"])))
    put = draw(BYTES)
    return whole[:start] + put + whole[start if way == "put" else start + len(put) :]


@examples(300)
@given(content=damaged(WHOLE) | DOCUMENTS | st.binary(max_size=40) | TEXT.map(lambda t: t.encode("utf-8", "ignore")))
def test_yaml_that_is_damaged(refuse, tmp_path, content):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    refuse("run", f"--config={path}", f"--methods={TWINS}", "--model=toy", "--task=toy")


# Data

ENDINGS = ("jsonl", "json", "csv", "tsv", "parquet")
ROWS = [{"id": f"n{i}", "text": f"what is {i}?", "label": f"it is {i}"} for i in range(12)]
PAIRS = [{"prompt": f"why {i}?", "chosen": f"since {i}", "rejected": f"no {i}"} for i in range(12)]


def written(rows, ending) -> bytes:
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
def whole(ending, pairs) -> bytes:
    return written(PAIRS if pairs else ROWS, ending)


@st.composite
def broken(draw, rows, ending):
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
    return written(rows, ending)


@st.composite
def data_files(draw, rows):
    """(name, content) of a file that is most likely no data: of broken rows, damaged, random or misnamed."""
    ending = draw(st.sampled_from(ENDINGS))
    way = draw(st.sampled_from(["rows", "rows", "rows", "damaged", "random", "misnamed", "document"]))
    if way == "rows":
        return f"d.{ending}", draw(broken(rows, ending))
    if way == "damaged":
        return f"d.{ending}", draw(damaged(whole(ending, rows is PAIRS)))
    if way == "misnamed":
        others = [f".{other}" for other in ENDINGS if other[:4] != ending[:4]]  # JSONL may be called JSON
        other = draw(st.sampled_from(["", ".", ".txt", ".gz", ".jsonl.gz", ".arrow", *others]))
        return f"d{other}", whole(ending, rows is PAIRS)
    if way == "document":
        return f"d.{ending}", draw(DOCUMENTS)
    head = draw(st.sampled_from([b"", b"id,text,label\n", b"[", b'{"text": ', b"PAR1", b"\xef\xbb\xbf", b"\x1f\x8b"]))
    return f"d.{ending}", head + draw(st.binary(max_size=80))


@examples(450)
@given(file=data_files(ROWS), allow=st.sampled_from([False, False, False, True]), as_test=st.booleans())
def test_data_files(refuse, tmp_path, file, allow, as_test):
    name, content = file
    (tmp_path / name).write_bytes(content)
    if as_test:
        (tmp_path / "train.jsonl").write_bytes(written([{"text": f"t{i}", "label": "x"} for i in range(9)], "jsonl"))
    data = ("--data=../train.jsonl", f"--test=../{name}") if as_test else (f"--data=../{name}",)
    refuse(*FILE, *data, *(["--allow-unusable"] if allow else []))


@examples(60)
@given(fields=st.lists(TEXT | ODD | st.sampled_from(["text", "label", "label,text"]), min_size=2, max_size=2))
def test_fields_that_the_data_has_not(refuse, tmp_path, fields):
    (tmp_path / "d.jsonl").write_bytes(written(ROWS, "jsonl"))
    source, target = fields
    refuse(*FILE, "--data=../d.jsonl", f"--input-field={source}", f"--target-field={target}")


@examples(250)
@given(file=data_files(PAIRS), allow=st.sampled_from([False, False, False, True]))
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
def model_folders(draw):
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
        files[name] = draw(damaged(FILES[name]) | st.binary(max_size=30))
    if draw(st.integers(0, 9)) == 0:
        del files[name]
    return files


@examples(150)
@given(files=model_folders())
def test_model_directories(refuse, tmp_path, files):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for name, content in {**files, "tokenizer.json": b"{}"}.items():
        (folder / name).write_bytes(content)
    refuse("run", "--model=../model", "--task=toy", "--device=cpu", f"--methods={TWINS}")


def test_there_were_enough_and_none_ended_in_a_traceback(capsys):
    if len(refused) < 10:
        pytest.skip("counts what the other tests of this file have tried")
    with capsys.disabled():
        print(f"\n{refused.total()} malformed inputs refused, {tracebacks.total()} tracebacks: {dict(refused)}")
    assert refused.total() >= AT_LEAST
    assert not tracebacks

"""`--plugin FILE`: a method in a single file, whose code runs because the user names it, and only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reports.records.store import read_records

pytestmark = pytest.mark.own

METHOD = """
from methods.toy import Toy


class Parrot(Toy):
    name = "parrot"
    summary = "a method in a file"
"""


def run(*arguments):
    command = [sys.executable, "-m", "harness", "run", "--model", "toy", "--task", "toy", "--budget", "steps=3"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)


def written(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_the_method_of_a_file_runs_like_any_other_and_its_code_is_part_of_the_trial(tmp_path):
    file, out = written(tmp_path, METHOD), tmp_path / "run"
    done = run("--plugin", file, "--methods", "parrot,toy", "--out", str(out))
    assert done.returncode == 0, done.stderr
    records = {record.variant: record for record in read_records(out)[0]}
    assert records["parrot"].status == "ok"
    written(tmp_path, METHOD + "\nCHANGED = True\n")
    again = run("--plugin", file, "--methods", "parrot,toy", "--out", str(out))
    assert again.stdout.count("finished earlier") == 2  # the base and the toy; the parrot's code is another
    assert len(read_records(out)[0]) == 4
    assert not any(str(tmp_path) in path.read_text() for path in (out / "records").glob("*.json"))


def test_without_the_flag_no_file_is_run(tmp_path):
    written(tmp_path, METHOD)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--model", "toy", "--task", "toy", "--methods", "parrot"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "unknown method 'parrot'" in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "missing.py does not exist"),
        ("1 / 0\n", "cannot be run: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "cannot be run: SystemExit: 3"),
        ("x = 1\n", "defines no subclass of methods.base.Method"),
        (METHOD.replace('"parrot"', '"lora"'), "taken twice: by methods.adapters.lora:LoRA and by"),
        (METHOD + '\n\nclass Other(Parrot):\n    summary = "again"\n', "'parrot' is taken twice: by "),
        (METHOD.replace("summary", "description") + '    summary = ""\n', "has no summary"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused_in_one_sentence(tmp_path, text, sentence):
    file = str(tmp_path / "missing.py") if text is None else written(tmp_path, text)
    done = run("--plugin", file, "--methods", "toy", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert sentence in done.stderr
    assert not (tmp_path / "run").exists()

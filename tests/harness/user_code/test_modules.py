"""`MODULE:FUNCTION` of the working directory: found there first, and by nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.user_code.functions import find_function

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, which `sys.path` does not hold, and another with libraries of others."""
    work, site = tmp_path / "work", tmp_path / "site"
    for folder in (work, site):
        folder.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr("sys.path", [str(site), *(path for path in sys.path if path)])
    before = set(sys.modules)
    yield work, site
    for name in set(sys.modules) - before:
        del sys.modules[name]


def called(text):
    return find_function(text, "--metrics")[0]()


def test_the_file_of_the_directory_wins_and_stays_private(here):
    work, site = here
    for name in ("evaluate", "datasets", "torch"):
        (work / f"{name}.py").write_text(f"def f(): return 'my {name}'\n")
    (site / "library_of_others.py").write_text("def f(): return 'theirs'\n")
    (work / "library_of_others.py").write_text("def f(): return 'mine'\n")
    real = {name: sys.modules.get(name) for name in ("evaluate", "datasets", "torch")}
    path = list(sys.path)
    assert [called(f"{name}:f") for name in real] == ["my evaluate", "my datasets", "my torch"]
    assert called("library_of_others:f") == "mine"
    import library_of_others

    assert library_of_others.f() == "theirs"
    assert {name: sys.modules.get(name) for name in real} == real
    assert sys.path == path


def test_files_of_the_directory_import_each_other_and_libraries_that_are_not_theirs(here):
    work, site = here
    (site / "library_of_others.py").write_text("WHOSE = 'theirs'\n")
    (work / "library_of_others.py").write_text("raise RuntimeError('it only lies beside')\n")
    (work / "mine_helper.py").write_text(
        "import library_of_others\nWORD = library_of_others.WHOSE\nfrom mine import N\n"
    )
    (work / "mine_package").mkdir()
    (work / "mine_package" / "__init__.py").write_text("")
    (work / "mine_package" / "inner.py").write_text("from . import other\nfrom mine_helper import WORD\nDEEP = WORD\n")
    (work / "mine_package" / "other.py").write_text("import mine_helper\n")
    (work / "mine.py").write_text(
        "N = 1\nimport mine_helper\nimport mine_package.inner as inner\nfrom mine_package import other\n"
        "def f():\n    import mine_package.other\n    from mine_late import LATE\n"
        "    return mine_helper.WORD, inner.DEEP, other.mine_helper is mine_helper, LATE, mine_package.other is other\n"
    )
    (work / "mine_late.py").write_text("LATE = 'late'\n")
    assert called("mine:f") == ("theirs", "theirs", True, "late", True)
    (work / "mine_package" / "deep.py").write_text("from .other import mine_helper\ndef f(): return mine_helper.N\n")
    assert called("mine_package.deep:f") == 1
    assert not {"mine", "mine_helper", "mine_package", "mine_late"} & set(sys.modules)


def test_a_folder_of_data_is_no_module(here):
    work, site = here
    (work / "library_of_others").mkdir()
    (work / "library_of_others" / "data.jsonl").write_text("{}\n")
    (site / "library_of_others.py").write_text("def f(): return 'theirs'\n")
    assert called("library_of_others:f") == "theirs"


def test_two_directories_have_modules_of_the_same_name(here, tmp_path, monkeypatch):
    work, site = here
    (work / "mine.py").write_text("def f(): return 1\n")
    (site / "mine.py").write_text("def f(): return 2\n")
    assert called("mine:f") == 1
    monkeypatch.chdir(site)
    assert called("mine:f") == 2


def test_what_cannot_be_imported_gets_one_sentence(here):
    work, _ = here
    (work / "slip.py").write_text("import no_such_module_here\n")
    (work / "ends.py").write_text("raise SystemExit\n")
    (work / "mine.py").write_text("def f(): return 1\n")
    sentences = {
        "slip:f": "the module 'slip' cannot be imported (ModuleNotFoundError: No module named 'no_such_module_here'); ",
        "ends:f": "the module 'ends' cannot be imported (SystemExit); ",
        "no_such:f": "the module 'no_such' cannot be imported (ModuleNotFoundError: No module named 'no_such'); ",
        "no.such:f": "the module 'no.such' cannot be imported (ModuleNotFoundError: No module named 'no'); ",
        "mine.sub:f": "the module 'mine.sub' cannot be imported (ModuleNotFoundError: No module named 'mine'); ",
        "mine:g": "the module 'mine' has no attribute 'g'",
    }
    for text, sentence in sentences.items():
        with pytest.raises(SpecError) as caught:
            find_function(text, "--metrics")
        assert str(caught.value).startswith(f"--metrics {text}: {sentence}")
        assert "_harness_user_" not in str(caught.value)


METRIC = """
import importlib.util, pathlib
import mine_helper
NAMES = ("evaluate", "datasets", "torch")
def score(predictions, references, inputs):
    places = [pathlib.Path(importlib.util.find_spec(name).origin) for name in NAMES]
    assert not [place for place in places if pathlib.Path.cwd() in place.parents]
    return [mine_helper.LENGTH] * len(predictions)
"""


def test_a_run_whose_directory_has_files_with_the_names_of_libraries(tmp_path):
    """Both processes: the metrics are tried when the run is planned, and measured in the worker."""
    names = ("rouge_score", "datasets", "torch")
    for name in names:
        (tmp_path / f"{name}.py").write_text(METRIC)
    for name in ("transformers", "evaluate"):  # `evaluate:` begins a metric script's name, and no function's
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('it only lies beside')\n")
    (tmp_path / "mine_helper.py").write_text("LENGTH = 3.0\n")
    command = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=2", "--out", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command, "--metrics", ",".join(f"{name}:score" for name in names)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "out" / "records").iterdir()]
    assert [[record["metrics"][f"{name}:score"] for name in names] for record in records] == [[3.0] * len(names)] * 2

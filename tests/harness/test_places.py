"""Files of the working directory are never taken for packages, `~` is the home directory, keys have two spellings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.keys import list_spellings, read_keys
from harness.spec.spec import KEYS, build_spec

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("harness", "methods", "reports")
HOSTILE = ("methods", "torch", "json", "numpy", "yaml", "rich", "regex", "rouge_score", "evaluate", "transformers")
TOY = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=2", "--out", "out"]
REAL = ["run", "--methods", "full", "--budget", "steps=1", "--test-examples", "2", "--general-text", "none"]
REAL += ["--input-tokens", "32", "--target-tokens", "4", "--out", "out"]


def fill(folder: Path, *more: str) -> Path:
    """Put files and folders into a directory that end whoever imports them."""
    for name in (*HOSTILE, *more):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the working directory')\n")
    for name in {"datasets", "peft", "reports"} - {path.name for path in folder.iterdir()}:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise SystemExit('{name} of the working directory')\n")
    return folder


def run(command: list[str], folder: Path, **variables: str) -> str:
    """The output of a command that must succeed; worker logs may not speak of the working directory's files either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=kept | variables, capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    logs = "".join(path.read_text(encoding="utf-8") for path in folder.glob("out/logs/*"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert "of the working directory" not in done.stdout + done.stderr + logs
    return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the project as it is checked out."""
    folder = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("path", [ROOT, None], ids=["elsewhere", "in-the-checkout"])
def test_files_beside_the_user_are_not_imported(request, tmp_path, path):
    folder = fill(tmp_path) if path else fill(request.getfixturevalue("checkout"), "harness")
    variables = {"PYTHONPATH": str(path)} if path else {}
    module = [sys.executable, "-m", "harness"]
    assert "lora" in run([*module, "list", "methods"], folder, **variables)
    assert "--table" in run([sys.executable, "-m", "harness.contract", "--help"], folder, **variables)


@pytest.mark.slow
@pytest.mark.parametrize("path", [True, False], ids=["on-the-path", "in-the-checkout"])
def test_nor_are_they_by_the_processes_of_a_run(checkout, path):
    variables = {"PYTHONPATH": str(checkout)} if path else {}
    run([sys.executable, "-m", "harness", *REAL], fill(checkout, "harness"), **variables)


@pytest.mark.slow
def test_nor_by_an_installed_copy(checkout, tmp_path):
    """A virtual environment with the project in it and, as if they were its own, the packages of this one."""
    made = tmp_path / "venv"
    venv.create(made, with_pip=False)
    (site,) = made.glob("lib/python3*/site-packages")
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    for package in PACKAGES:
        shutil.move(checkout / package, site / package)
    python = str(made / "bin" / "python")
    script = site / "bin" / "finetune-harness"
    script.parent.mkdir()
    script.write_text("import sys\nfrom harness.cli import main\nsys.exit(main())\n")
    here = tmp_path / "here"
    here.mkdir()
    run([python, "-m", "harness", *REAL], fill(here))
    shutil.rmtree(here / "out")
    run([python, str(script), *REAL], fill(here, "harness"))
    told = run([python, "-P", "-c", "import harness, methods, reports; print(harness, methods, reports)"], here)
    assert told.count(str(site)) == 3


def test_the_contract_needs_no_pytest_to_check_and_says_so_where_it_does():
    code = (
        "import sys; sys.modules['pytest'] = None; import harness.contract as c; print(c.Case, c.checks)\n"
        "try:\n    c.MethodContract\nexcept ImportError as error:\n    print(error)"
    )
    said = run([sys.executable, "-c", code], ROOT, PYTHONPATH=str(ROOT))
    assert 'pip install "finetune-harness[test]"' in said


def test_the_contract_refuses_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "harness.contract"]
    for arguments in (["--tuners", "no_such"], ["--table", "no/page.md"]):
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
        )
        assert done.returncode == 2
        assert b"error: " in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_every_path_may_begin_at_home(run_here, tmp_path, home):
    rows = "\n".join(f'{{"text": "text {n}", "summary": "some words {n}"}}' for n in range(20))
    for name in ("train.jsonl", "test.jsonl"):
        (home / name).write_text(rows.replace("text ", name))
    (home / "mine.py").write_text("TASKS = {'of-mine': lambda request: None}\n")
    (home / "spec.yaml").write_text(
        "model: toy\ntask: file\nmethods: [toy]\nbudget: steps=2\ngeneral-text: none\ninput_field: text\n"
        "target-field: summary\ndata: ~/train.jsonl\ntest: ~/test.jsonl\nplugin: ~/mine.py\nout: ~/runs/a\n"
    )

    def run(*words: str, code: int = 0) -> str:
        done = run_here(*words, cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("run", "--config=~/spec.yaml")
    assert (home / "runs" / "a" / "leaderboard.md").is_file()
    run("run", "--config=~/spec.yaml", "--out=~/runs/b", "--data=~/train.jsonl", "--plugin=~/mine.py")
    run("report", "~/runs/a", "~/runs/b", "--out=~/reports")
    assert (home / "reports" / "leaderboard.md").is_file()
    run("recommend", "~/runs/a", code=1)
    run("new", "method", "at-home", "--out=~/at-home")
    assert (home / "at-home" / "pyproject.toml").is_file()
    assert "of-mine" in run("list", "tasks", "--plugin=~/mine.py")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert "~nobody-of-this-name" in run("run", "--config=~/spec.yaml", "--out=~nobody-of-this-name/x", code=2)


@pytest.mark.parametrize("key", ["target_fields", "target_field", "target-field", "target-fields", "--target-field"])
def test_a_key_may_be_written_as_its_flag(key):
    assert build_spec({"methods": "toy", "task": "file", key: ["a", "b"]}).task.target_fields == ("a", "b")


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_has_every_spelling(key):
    for name in (key, key.replace("_", "-")):
        assert read_keys({name: 1}, KEYS) == {key: 1}


def test_spellings_that_disagree_are_refused_and_wrong_ones_get_the_nearest():
    assert read_keys({"target_field": "a", "target-fields": "a"}, KEYS) == {"target_fields": "a"}
    with pytest.raises(SpecError, match="target_field and target-fields are the same key, and have different values"):
        read_keys({"target_field": "a", "target-fields": "b"}, KEYS)
    with pytest.raises(SpecError, match=r"unknown key 'target-feld' .*did you mean target-field"):
        read_keys({"target-feld": "a"}, KEYS)
    assert set(list_spellings(KEYS).values()) == KEYS

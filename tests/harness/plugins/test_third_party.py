"""Packages of other people: the example and what `new method` writes, installed by pip and used by the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from harness.cli import main
from reports.records.store import read_records

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "harness-surgical"


def python(*arguments, site, cwd):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, cwd=cwd, check=False)


def rows(listed: str) -> list[list[str]]:
    """Name and text of each line of a list."""
    return [line.split(maxsplit=1) for line in listed.splitlines()]


def installed(source: Path, folder: Path) -> Path:
    """The folder into which pip has installed a copy of a package's source, with nothing from an index."""
    copy = shutil.copytree(source, folder / "source")  # building leaves files beside the source
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = ["-m", "pip", "install", *flags, "--target", folder / "site", copy]
    done = python(*command, site=folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    return installed(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.mark.slow
def test_the_example_runs_from_its_own_package(example, tmp_path):
    listed = python("-m", "harness", "list", "methods", site=example, cwd=tmp_path)
    assert ["surgical", "one contiguous block of layers (Lee et al. 2023)"] in rows(listed.stdout)
    few = ["--train-examples", "16", "--validation-examples", "2", "--test-examples", "4", "--general-text", "none"]
    budget = ["--budget", "steps=2", "--device", "cpu", "--out", "run", "--save-models"]
    methods = "surgical[block=first|last,share=0.5]"
    done = python("-m", "harness", "run", "--methods", methods, *few, *budget, site=example, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    records = {record.variant: record for record in read_records(tmp_path / "run")[0]}
    assert records.keys() == {"base", "surgical[block=first,share=0.5]", "surgical[block=last,share=0.5]"}
    first, last = records["surgical[block=first,share=0.5]"], records["surgical[block=last,share=0.5]"]
    assert first.training["steps"] == last.training["steps"] == 2
    assert first.settings["learning_rate"] == 5e-5
    # Two of the embedded model's four layers: attention, MLP and norms of width 192 and 448.
    layers = 2 * (4 * 192**2 + 3 * 192 * 448 + 2 * 192)
    assert first.metrics["trainable_parameters"] == last.metrics["trainable_parameters"] == layers
    for record, numbers in ((first, {"0", "1"}), (last, {"2", "3"})):
        (file,) = (tmp_path / "run" / "artifacts" / record.trial_id).iterdir()
        with safe_open(file, "pt") as shipped:
            assert {name.split(".")[2] for name in shipped.keys()} == numbers  # noqa: SIM118 - it has no iterator


@pytest.mark.slow
def test_the_example_passes_its_own_tests(example, tmp_path):
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLE, site=example, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "17 passed" in done.stdout  # nine of the contract


@pytest.mark.slow
def test_a_new_package_installs_passes_its_tests_and_is_listed(tmp_path):
    done = python("-m", "harness", "new", "method", "my-method", "--out", "mine", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = {str(path.relative_to(tmp_path / "mine")) for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert files == {"pyproject.toml", "README.md", "harness_my_method.py", str(Path("tests", "test_contract.py"))}
    assert all(f"wrote {Path('mine', file)}" in done.stdout.splitlines() for file in files)
    site = installed(tmp_path / "mine", tmp_path)
    listed = python("-m", "harness", "list", "methods", site=site, cwd=tmp_path)
    assert ["my-method", "every parameter but the token embeddings"] in rows(listed.stdout)
    tests = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "mine", site=site, cwd=tmp_path)
    assert tests.returncode == 0, tests.stdout
    assert "12 passed" in tests.stdout
    again = python("-m", "harness", "new", "method", "my-method", "--out", "other", site=site, cwd=tmp_path)
    assert (again.returncode, again.stderr) == (
        2,
        "error: the method name 'my-method' is taken by harness_my_method:MyMethod; choose another\n",
    )


@pytest.fixture
def new(tmp_path, monkeypatch, capsys):
    """Return a function that runs `new method` in an empty directory; gives exit code and what it says."""
    monkeypatch.chdir(tmp_path)

    def new(*arguments):
        code = main(["new", "method", *arguments])
        told = capsys.readouterr()
        assert (told.err.count("\n"), "Traceback" in told.err) == (int(code == 2), False)
        return code, told.out + told.err

    return new


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("mine", "harness_mine.py", ("class Mine(Method)", 'name = "mine"')),
        ("two_Words", "harness_two_words.py", ("class TwoWords(Method)", 'name = "two_Words"')),
        ("a1-b2-c3", "harness_a1_b2_c3.py", ("class A1B2C3Config(TrainingConfig)", 'name = "a1-b2-c3"')),
    ],
)
def test_names_of_a_new_package(new, tmp_path, name, file, words):
    assert new(name)[0] == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name == file.removesuffix(".py").replace("_", "-")
    text = (folder / file).read_text()
    assert all(word in text for word in words)
    assert "$" not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "1a", "a--b", "-a", "a-", "_a", "a.b", "a/b", "../a", "é", "a\n", "a[b]", "class", "x" * 41],
)
def test_a_name_that_cannot_be_is_refused(new, tmp_path, name):
    code, sentence = new("--", name)
    assert code == 2
    assert "cannot be the name of a method: it must begin with a letter" in sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lora", "base", "toy"])
def test_a_name_that_is_taken_is_refused(new, tmp_path, name):
    code, sentence = new(name)
    assert code == 2
    assert f"the method name {name!r} is taken by methods." in sentence
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(new, tmp_path):
    (tmp_path / "harness-mine").mkdir()
    (tmp_path / "file").write_text("x")
    assert new("mine")[0] == 2
    code, sentence = new("mine", "--out", "file")
    assert (code, sentence) == (2, "error: file already exists and is not overwritten; choose another --out\n")
    assert new("mine", "--out", "file/below")[0] == 2
    assert "cannot be the name of a directory" in new("mine", "--out", "a\0b")[1]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "harness-mine"]


def contract(*arguments, cwd):
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "harness.contract.option", "--pyargs"]
    return python(*command, "harness.contract", *arguments, site=cwd, cwd=cwd)


MINE = """
from methods.whole.full import Full


class Mine(Full):
    name = "mine"
    summary = "full, again"
"""
FORGETFUL = MINE + "\n    def save(self, model, directory):\n        directory.mkdir()\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [(MINE, 0, "9 passed"), (FORGETFUL, 1, "AssertionError: no safetensors among []")],
)
def test_the_contract_of_a_method_in_a_file_needs_no_test_file(tmp_path, text, code, said):
    (tmp_path / "mine.py").write_text(text)
    done = contract("--plugin-file", "mine.py", "--knob", "learning_rate=1e-2", cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "lroa"], "unknown method 'lroa' (did you mean lora"),
        (["--method", "lora", "--knob", "rr=1"], "method 'lora' has no knob 'rr'"),
        (["--method", "lora", "--knob", "r"], "--knob r: write KNOB=VALUE"),
        ([], "--method is missing: name the method to check, one of full, instruction, "),
        (["--method", "few-shot"], "few-shot trains nothing, so there is nothing to check"),
        (["--plugin-file", "nowhere.py"], "the plugin file nowhere.py does not exist"),
    ],
)
def test_a_contract_of_nothing_gets_one_sentence(tmp_path, arguments, sentence):
    done = contract(*arguments, cwd=tmp_path)
    assert done.returncode == 4
    assert f"ERROR: {sentence}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_projects_own_tests_do_not_collect_those_of_the_contract():
    done = python("-m", "pytest", "--collect-only", "-q", "-k", "TestMethod or TestContract", site=ROOT, cwd=ROOT)
    assert done.returncode == 5, done.stdout  # nothing is collected

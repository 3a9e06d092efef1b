"""A trial's id depends on the code that loads, trains and generates, but not on code that only scores or reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.hashing import find_closure, hash_code
from harness.planning.identity import CodeInputs, hash_training_code
from methods.registry import get

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
MODEL, TOY = CodeInputs("transformers"), CodeInputs("toy")
INSIDE = {
    # how a trial goes, and what runs the model
    *("harness/worker/trial.py", "harness/worker/evaluation.py", "harness/worker/forgetting.py"),
    *("harness/models/transformers_backend.py", "harness/models/backend.py", "harness/models/loading.py"),
    # the method, and what it shares with others
    *("methods/adapters/lora.py", "methods/adapters/lora_init.py", "methods/adapters/dora_norms.py"),
    *("methods/base.py", "methods/types.py", "methods/feedback.py", "methods/knobs.py", "methods/checked_calls.py"),
    *("methods/engine/training.py", "methods/engine/encoding.py", "methods/engine/loss.py"),
    *("methods/engine/answer_end.py", "methods/engine/chat_template.py", "methods/engine/stopping.py"),
    *("methods/engine/texts.py", "harness/models/languages.py"),
    *("methods/engine/training_state.py", "methods/engine/layers.py"),
    *("methods/adapters/__init__.py", "methods/engine/__init__.py"),
    *("harness/models/__init__.py", "harness/measure/__init__.py"),
    "harness/measure/parameters.py",
}
"""Written by hand: all that a trial of `lora` depends on. Change it where that is meant."""
PROBE = """
import json, sys
from pathlib import Path
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec

copy, asked = Path(sys.argv[1]), json.loads(sys.argv[2])

def ids():
    return [trial.trial_id for trial in make_plan(build_spec(asked)).trials[1:]]

before, changed = ids(), []
for file in sorted(copy.rglob("*.py")):
    source = file.read_bytes()
    file.write_bytes(source + b"\\nAN_ADDED_CONSTANT = 1\\n")
    if ids() != before:
        changed.append(str(file.relative_to(copy)))
    file.write_bytes(source)
assert ids() == before
print(json.dumps(changed))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the project whose files may be changed."""
    for package in ("harness", "methods", "reports"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run_python(folder: Path, code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_id_depends_on_these_files_and_on_no_other(copy):
    """Every file of the three packages is changed, one after the other."""
    asked = {"methods": "lora", "device": "cpu", "dtype": "float32", "train_examples": 8}
    changed = set(json.loads(run_python(copy, PROBE, str(copy), json.dumps(asked))))
    assert changed - INSIDE == set()
    assert INSIDE - changed == set()


def hash_source(tmp_path, text: str) -> str:
    """The hash of a module with this source."""
    (tmp_path / "probed_module.py").write_text(text)
    sys.modules.pop("probed_module", None)
    __import__("probed_module")
    return hash_code(["probed_module"])


def test_words_change_no_hash_and_code_does(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    plain = hash_source(tmp_path, "class A:\n    x: int = 1\n\ndef f(knob):\n    return knob(1, help='me')\n")
    worded = '''"""Says what it is."""


class A:
    """Says more."""

    x: int = 1
    """And more."""


def f(knob):
    """Says it again."""
    return knob(1, help="me")  # why
'''
    assert hash_source(tmp_path, worded) == hash_source(tmp_path, worded.replace("Says it", "Tells it")) == plain
    assert hash_source(tmp_path, worded.replace("knob(1", "knob(2")) != plain
    # Only of the project's own code is it known what `help` means.
    assert hash_source(tmp_path, worded.replace('"me"', '"you"')) != plain


def test_a_changed_docstring_changes_neither_id_nor_scoring(copy):
    code = (
        "from harness.planning.planner import make_plan; from harness.spec.spec import build_spec\n"
        "trials = make_plan(build_spec({'model': 'toy', 'task': 'toy', 'methods': 'toy', 'metrics': 'chrf'})).trials\n"
        "print([trial.trial_id for trial in trials], [dict(trial.draft.scoring) for trial in trials])"
    )
    before = run_python(copy, code)
    for name in ("methods/toy.py", "methods/base.py", "harness/worker/trial.py", "harness/scoring/rouge.py"):
        file = copy / name
        text = file.read_text()
        assert text.startswith('"""')
        text = text.replace("Sleep in each step", "Wait in each step").replace('summary = "', 'summary = "in short: ')
        file.write_text('"""Other words. ' + text.removeprefix('"""') + "\n# and a comment\n")
    assert run_python(copy, code) == before
    file = copy / "harness" / "scoring" / "fast_rouge.py"
    file.write_text(file.read_text() + "\nADDED = 1\n")
    after = run_python(copy, code)
    assert after != before
    assert after.partition("]")[0] == before.partition("]")[0]  # the ids


def test_code_that_influences_training_is_part_of_the_hash():
    rlhf, lora = get("rlhf"), get("lora")
    plain = hash_training_code(rlhf, MODEL)
    assert hash_training_code(rlhf, replace(MODEL, rewarded=True)) != plain
    assert hash_training_code(lora, replace(MODEL, searched=True)) != hash_training_code(lora, MODEL)
    assert hash_training_code(lora, replace(MODEL, general_text=True)) != hash_training_code(lora, MODEL)
    assert hash_training_code(lora, TOY) != hash_training_code(lora, MODEL)
    assert "harness.scoring.fast_rouge" in find_closure(["harness.feedback.rewards"])


def test_an_adapter_depends_on_its_own_files():
    """It does not depend on the files of other methods, even in the same folder."""
    files = set(find_closure(["methods.adapters.lora"]))
    assert not files & {
        "methods.adapters.prefix",
        "methods.adapters.qlora",
        "methods.whole.full",
        "methods.rlhf.policy",
    }
    hashes = {name: hash_training_code(get(name), MODEL) for name in ("lora", "qlora", "full", "peft:vera")}
    assert len(set(hashes.values())) == len(hashes)


def test_all_files_of_a_third_party_package_are_hashed(tmp_path, monkeypatch):
    package = tmp_path / "someones_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text("from methods.toy import Toy\nclass Mine(Toy):\n    pass\n")
    (package / "inner" / "found_at_run_time.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from someones_package.method import Mine

    before = hash_training_code(Mine, TOY)
    assert before != hash_training_code(get("toy"), TOY)
    (package / "inner" / "found_at_run_time.py").write_text("x = 2\n")
    assert hash_training_code(Mine, TOY) != before

"""A trial's id depends on the code that loads, trains and generates, but not on code that only scores or reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.hashing import find_closure, hash_code
from harness.planning.identity import hash_training_code
from methods.registry import get

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
OUTSIDE = (
    *("harness/running/progress.py", "harness/running/runner.py", "harness/cli/run_command.py"),
    *("harness/measure/meter.py", "harness/scoring/rouge.py", "harness/scoring/fast_rouge.py"),
    *("harness/worker/evaluation.py", "harness/errors.py", "harness/request.py", "methods/errors.py"),
    *("reports/leaderboard.py", "reports/metrics.py", "methods/__init__.py"),
    *("methods/whole/galore.py", "methods/adapters/prefix.py"),
)
PROBE = """
import json, sys
from pathlib import Path
from harness.hashing import find_closure
from harness.planning.identity import LEFT_OUT, LOSS_CODE
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec

copy, asked, outside = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])

def ids():
    from harness import hashing
    return [trial.trial_id for trial in make_plan(build_spec(asked)).trials[1:]]

modules = ["methods.adapters.lora", "harness.models.transformers_backend", *LOSS_CODE]
inside = [str(file.relative_to(copy)) for file in find_closure(modules, leave_out=LEFT_OUT).values()]
before, changed = ids(), {}
for name in [*inside, "harness/worker/trial.py", *outside]:
    file = copy / name
    source = file.read_bytes()
    file.write_bytes(source + b"\\nAN_ADDED_CONSTANT = 1\\n")
    changed[name] = ids() != before
    file.write_bytes(source)
assert ids() == before
print(json.dumps({"inside": sorted({*inside, "harness/worker/trial.py"}), "changed": changed}))
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


def test_every_file_of_the_closure_changes_the_id_and_no_other_does(copy):
    asked = {"methods": "lora", "device": "cpu", "dtype": "float32", "train_examples": 8}
    found = json.loads(run_python(copy, PROBE, str(copy), json.dumps(asked), json.dumps(OUTSIDE)))
    inside = set(found["inside"])
    assert {
        "methods/adapters/lora.py",
        "methods/base.py",
        "methods/engine/training.py",
        "methods/engine/loss.py",
    } <= inside
    assert {
        "harness/models/transformers_backend.py",
        "harness/models/loading.py",
        "harness/worker/forgetting.py",
    } <= inside
    assert not inside & set(OUTSIDE)
    assert {name for name, changed in found["changed"].items() if changed} == inside


def hash_source(tmp_path, text: str) -> str:
    """The hash of a module with this source."""
    (tmp_path / "probed_module.py").write_text(text)
    sys.modules.pop("probed_module", None)
    __import__("probed_module")
    return hash_code(["probed_module"])


def test_texts_do_not_change_a_hash_and_code_does(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    plain = hash_source(
        tmp_path, "from methods.knobs import knob\nclass A:\n    x: int = knob(1)\n\ndef f():\n    return 1\n"
    )
    worded = '''"""Says what it is."""
from methods.knobs import knob


class A:
    """Says more."""

    x: int = knob(1, "What x is.", source="somewhere")
    """And more."""


def f():
    """Says it again."""
    return 1  # why
'''
    assert hash_source(tmp_path, worded) == hash_source(tmp_path, worded.replace("it", "something")) == plain
    assert hash_source(tmp_path, worded.replace("return 1", "return 2")) != plain
    assert hash_source(tmp_path, worded.replace("knob(1", "knob(2")) != plain


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
        file.write_text('"""Other words. ' + text.removeprefix('"""') + "\n# and a comment\n")
    assert run_python(copy, code) == before
    file = copy / "harness" / "scoring" / "fast_rouge.py"
    file.write_text(file.read_text() + "\nADDED = 1\n")
    after = run_python(copy, code)
    assert after != before
    assert after.partition("]")[0] == before.partition("]")[0]  # the ids


def test_code_that_influences_training_is_part_of_the_hash():
    rlhf, lora = get("rlhf"), get("lora")
    plain = hash_training_code(rlhf, "transformers")
    assert hash_training_code(rlhf, "transformers", rewarded=True) != plain
    assert hash_training_code(lora, "transformers", searched=True) != hash_training_code(lora, "transformers")
    assert hash_training_code(lora, "toy") != hash_training_code(lora, "transformers")
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
    hashes = {name: hash_training_code(get(name), "transformers") for name in ("lora", "qlora", "full", "peft:vera")}
    assert len(set(hashes.values())) == len(hashes)


def test_all_files_of_a_third_party_package_are_hashed(tmp_path, monkeypatch):
    package = tmp_path / "someones_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text("from methods.toy import Toy\nclass Mine(Toy):\n    pass\n")
    (package / "inner" / "found_at_run_time.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from someones_package.method import Mine

    before = hash_training_code(Mine, "toy")
    assert before != hash_training_code(get("toy"), "toy")
    (package / "inner" / "found_at_run_time.py").write_text("x = 2\n")
    assert hash_training_code(Mine, "toy") != before

"""What the packaging files say of each other, and that the project ships what it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def requirements(text: str) -> dict[str, str]:
    """Package → version of every `name>=version` or `name==version` in a text."""
    found = re.findall(r'^[ \["]*([A-Za-z0-9-]+)(?:>=|==)([0-9.]+)', text.replace(", ", "\n"), re.MULTILINE)
    return {name.lower(): version for name, version in found}


def numbers(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


@pytest.fixture(scope="module")
def bounds() -> dict[str, str]:
    project = (ROOT / "pyproject.toml").read_text()
    dependencies = project[project.index("dependencies = [") : project.index("[project.optional-dependencies]")]
    test = re.search(r"^test = \[.*\]$", project, re.MULTILINE)[0].removeprefix("test = ")
    return requirements(dependencies) | requirements(test)


def test_lowest_pins_the_lower_bound_of_every_dependency(bounds):
    pins = requirements((ROOT / "tests" / "lowest.txt").read_text())
    assert len(bounds) >= 20
    assert {name: numbers(version) for name, version in pins.items()} == {
        name: numbers(version) for name, version in bounds.items()
    }


def test_constraints_pin_every_dependency_at_or_above_its_bound(bounds):
    pins = requirements((ROOT / "constraints.txt").read_text())
    for name, version in bounds.items():
        assert numbers(pins[name]) >= numbers(version), name
    assert pins["torch"] == "2.13.0"


def test_no_file_names_this_machine_or_a_registry():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout, so there is no list of files")
    # Put together here, so that this file does not find itself.
    words = ["/".join(["", "work", ""]), "/".join(["", "tmp", "venv"]), "extra-" + "index-url", "pypi" + ".org/simple"]
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".safetensors", ".png") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], name


@pytest.mark.slow
def test_the_wheel_carries_models_templates_and_all_packages(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for wanted in (
        "harness/models/embedded/decoder-only/model.safetensors",
        "harness/models/embedded/encoder-decoder/tokenizer.json",
        "reports/render/templates/leaderboard.html.j2",
        "methods/adapters/lora.py",
        "harness/tasks/embedded/generator.py",
        "harness/tasks/passages.txt",
        "harness/plugins/skeleton/method.py.tmpl",
        "harness/plugins/skeleton/tests/test_contract.py.tmpl",
        "harness/contract/test_method.py",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith("tests/")]


def test_what_ci_calls_can_be_called():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)

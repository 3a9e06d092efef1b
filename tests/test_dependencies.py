"""What the packages import is what pyproject.toml declares, in both directions; imports inside functions count too."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "methods", "reports")

CALLED_OTHERWISE = {"pynvml": "nvidia-ml-py", "yaml": "pyyaml"}
"""Module → what pip calls it, where that is more than a hyphen for an underscore."""
NOT_IMPORTED = {
    "accelerate": "Transformers loads quantised models with it (`device_map`), and TRL's trainers are built on it",
    "scikit-learn": "PEFT's AdaMSS imports it",
}
"""Declared because others need it at run time: package → reason."""
NOT_DECLARED = {
    "sentence-transformers": "`embedding-similarity` says how to install it; nothing else needs that much",
}
"""Imported where the user has installed it: package → reason."""


def declared() -> tuple[set[str], set[str]]:
    """What every installation has, and what extras add to it; tools of tests and checks apart."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    added = [text for extra in extras.keys() - {"test", "lint", "type"} for text in extras[extra]]
    return names(project["dependencies"]), names(added)


def names(requirements: Iterable[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9_.-]+", text)[0].lower().replace("_", "-") for text in requirements}


def imported(root: Path) -> set[str]:
    """Every package of others that a module of ours imports, wherever in it, as pip calls it."""
    found = set()
    for path in (path for package in PACKAGES for path in (root / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    modules = {name.partition(".")[0] for name in found} - set(PACKAGES) - sys.stdlib_module_names
    return {CALLED_OTHERWISE.get(name, name.lower().replace("_", "-")) for name in modules}


def test_everything_that_is_imported_is_declared():
    required, optional = declared()
    # The contract kit runs under pytest, which whoever imports it has.
    missing = imported(ROOT) - required - optional - NOT_DECLARED.keys() - {"pytest"}
    assert not missing, "imported, but not in pyproject.toml"


def test_everything_that_is_declared_is_imported_or_says_why_not():
    required, optional = declared()
    unused = (required | optional) - imported(ROOT) - NOT_IMPORTED.keys()
    assert not unused, "declared, but nowhere imported"


def test_the_exceptions_are_still_needed():
    required, optional = declared()
    assert NOT_IMPORTED.keys() <= (required | optional) - imported(ROOT)
    assert NOT_DECLARED.keys() <= imported(ROOT) - required - optional


@pytest.mark.parametrize(
    "code",
    [
        "import some_package.part",
        "def late():\n    from some_package import thing",
        "if TYPE_CHECKING:\n    import some_package",
        "import importlib\nimportlib.import_module('some_package.part')",
    ],
)
def test_an_import_is_seen_wherever_it_stands(tmp_path, code):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "methods" / "new.py").write_text(f"import json, reports.errors, yaml\nfrom . import x\n{code}\n")
    assert imported(tmp_path) == {"some-package", "pyyaml"}

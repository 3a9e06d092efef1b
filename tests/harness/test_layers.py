"""Arrows point one way: methods and reports know nothing of the harness or each other, and nothing heavy is
imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "datasets",
    "evaluate",
    "pandas",
    "numpy",
    "bitsandbytes",
    "sacrebleu",
    "sentence_transformers",
    "pydantic",
}
FORBIDDEN = {"methods": {"harness", "reports"}, "reports": {"harness", "methods"}}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_arrow_points_backwards(package):
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 5
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imports(path)
        if name.split(".")[0] in FORBIDDEN[package]
    }
    assert not wrong


def test_no_import_cycle():
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in ("harness", "methods", "reports")
        for path in (ROOT / package).rglob("*.py")
    }

    def top_level(path):
        # What is imported inside functions is late on purpose; only imports of the module itself can form a cycle.
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        return {
            name
            for node in nodes
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            )
            if name in files
        }

    graph = {name: top_level(path) - {name} for name, path in files.items()}
    state: dict[str, int] = {}

    def visit(name, trail):
        if state.get(name) == 2:
            return
        # A package's __init__ and its own modules may import each other: Python resolves that by parts.
        assert state.get(name) != 1, " → ".join([*trail, name])
        state[name] = 1
        for target in sorted(graph[name]):
            if not (name.startswith(target + ".")):
                visit(target, [*trail, name])
        state[name] = 2

    for name in graph:
        visit(name, [])
    assert len(graph) > 30


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["run", "--help"], ["new", "--help"]),
        *(["list", what] for what in ("methods", "models", "tasks", "metrics", "launchers")),
        ["list", "methods", "lora", "--knobs"],
        ["list", "methods", "peft:vera", "--knobs"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments):
    code = (
        "import sys; from harness.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_no_file_is_called_utils():
    assert not [
        path
        for path in ROOT.rglob("utils.py")
        if ".tox" not in path.parts and ".venv" not in path.parts and "venv" not in path.parts
    ]

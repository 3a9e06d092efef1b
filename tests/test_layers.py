"""Arrows point one way: methods and reports know nothing of the harness or each other, no module imports itself by a
detour, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.util import resolve_name
from pathlib import Path

import pytest

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[1]
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
PACKAGES = ("harness", "methods", "reports")
FORBIDDEN = {"methods": {"harness", "reports"}, "reports": {"harness", "methods"}}

LEAVES = {"errors", "events", "hashing", "names", "outcome", "request", "streams"}
"""Files of `harness/` that every folder may import; of the harness they import only each other."""
STATIONS = {
    "__main__": {"cli"},
    "cli": {"spec", "planning", "running", "launchers", "plugins", "scoring", "models", "tasks"},
    "running": {"spec", "planning", "launchers", "measure", "scoring", "tasks"},
    "planning": {"spec", "feedback", "scoring", "models", "tasks"},
    "spec": {"plugins", "launchers", "scoring"},
    "contract": {"plugins", "models"},
    "worker": {"plugins", "feedback", "measure", "scoring", "models", "tasks"},
    "plugins": {"launchers", "scoring", "tasks"},
    "launchers": set(),
    "feedback": {"scoring", "models", "tasks", "user_code"},
    "metrics": {"scoring"},
    "scoring": {"models", "tasks", "user_code"},
    "models": {"measure", "tasks"},
    "measure": set(),
    "tasks": set(),
    "user_code": set(),
}
"""Each folder of `harness/`, in the order of the way from the command line down, with the folders that it imports.

A folder imports only folders that stand below it. The first half (`cli` to `spec`) runs in the parent process and the
worker in the child: neither imports the other, since only JSON crosses between them.
"""

TABLES = {"harness.models.backend", "methods.peft", "methods.peft.tuners"}
"""Modules whose table names, as `"MODULE:ATTRIBUTE"`, modules that import them: the one way to close a circle.

Of such a module only the entry that a user chose is imported, and not before it is asked for. The tables of methods,
metrics, tasks and launchers need no such leave. Between folders a table's arrow counts like every other.
"""


def read_modules(root: Path) -> dict[str, Path]:
    """Name → file of every module of the packages."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
    }


def read_tree(path: Path) -> Iterator[ast.AST]:
    """Every node of a module's source."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def find_imports(name: str, modules: Mapping[str, Path]) -> set[str]:
    """What a module imports, at its top, inside functions and for type checkers; our own modules by their full name."""
    found = set()
    package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in read_tree(modules[name]):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                parent = resolve_name("." * level, package).rstrip(".") if level else ""
                origin = ".".join(filter(None, (parent, module)))
                inner = {f"{origin}.{alias.name}" for alias in names}
                found |= {target if target in modules else origin for target in inner}
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                found.add(resolve_name(target, package))
    return found


def find_named(name: str, modules: Mapping[str, Path]) -> set[str]:
    """Our modules that a module names in strings of the form `MODULE:ATTRIBUTE`, to import them when asked for."""
    strings = (node.value for node in read_tree(modules[name]) if isinstance(node, ast.Constant))
    named = {text.partition(":")[0] for text in strings if isinstance(text, str) and ":" in text}
    return named & modules.keys()


def find_cycle(root: Path, tables: Collection[str] = ()) -> list[str] | None:
    """Modules that import each other in a circle, by whatever kind of import; `None` where there is no such circle.

    What the modules in `tables` name in strings does not count.
    """
    modules = read_modules(root)
    graph = {
        name: (find_imports(name, modules) & modules.keys() - {name})
        | (set() if name in tables else find_named(name, modules))
        for name in modules
    }
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name not in finished:
            for target in sorted(graph[name]):
                if cycle := visit(target, [*trail, name]):
                    return cycle
            finished.add(name)
        return None

    return next((cycle for name in sorted(graph) if (cycle := visit(name, []))), None)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_arrow_points_backwards(package):
    modules = read_modules(ROOT)
    names = [name for name in modules if name.split(".")[0] == package]
    assert len(names) > 5
    wrong = {
        f"{name} imports {target}"
        for name in names
        for target in find_imports(name, modules) | find_named(name, modules)
        if target.split(".")[0] in FORBIDDEN[package]
    }
    assert not wrong


def find_arrows(root: Path) -> dict[str, set[str]]:
    """Folder (or leaf) of `harness/` → the other folders that its modules import."""
    modules = read_modules(root)
    arrows: dict[str, set[str]] = {}
    for name in modules:
        if name.startswith("harness."):
            folder = name.split(".")[1]
            found = find_imports(name, modules) & modules.keys() | find_named(name, modules)
            targets = {target.split(".")[1] for target in found if target.startswith("harness.")}
            arrows.setdefault(folder, set()).update(targets - {folder})
    return arrows


def test_the_stations_of_the_harness_keep_their_order():
    stations, arrows = list(STATIONS), find_arrows(ROOT)
    backwards = {(a, b) for a in stations for b in STATIONS[a] if stations.index(b) <= stations.index(a)}
    assert not backwards
    assert {station: arrows.pop(station) - LEAVES for station in stations} == STATIONS
    assert arrows.keys() == LEAVES  # no file or folder is missing from the lists
    assert not {(leaf, target) for leaf, targets in arrows.items() for target in targets - LEAVES}


@pytest.mark.parametrize(
    "arrow",
    [
        "from harness import cli\n",
        "def late():\n    from harness import cli\n",
        "from .. import cli\n",
        "from ..cli import main\n",
        "from ..cli.run import main\n",
        "import importlib\nimportlib.import_module('harness.cli.run')\n",
        "TABLE = {'run': 'harness.cli.run:main'}\n",
    ],
)
def test_an_arrow_between_stations_is_seen(arrow, tmp_path):
    for folder in ("harness/worker", "harness/cli"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "harness" / "__init__.py").write_text("")
    (tmp_path / "harness" / "worker" / "trial.py").write_text(arrow)
    (tmp_path / "harness" / "cli" / "run.py").write_text("import harness.cli\n")
    assert find_arrows(tmp_path) == {"worker": {"cli"}, "cli": set()}


def test_no_import_cycle():
    assert len(read_modules(ROOT)) > 100
    assert find_cycle(ROOT, TABLES) is None


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_with_leave_to_close_a_circle_closes_one(table):
    cycle = find_cycle(ROOT, TABLES - {table})
    assert cycle is not None
    assert table in cycle


@pytest.mark.parametrize(
    "back",
    [
        "import methods.a\n",
        "from methods import a\n",
        "from methods.a import thing\n",
        "def late():\n    from methods.a import thing\n",
        "class Late:\n    def late(self):\n        import methods.a\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from methods.a import thing\n",
        "from . import a\n",
        "from .a import thing\n",
        "from importlib import import_module\nimport_module('methods.a')\n",
        "import importlib\nimportlib.import_module('.a', __package__)\n",
        "TABLE = {'thing': 'methods.a:thing'}\n",
        "def late(name):\n    return f'methods.a:{name}'\n",
    ],
)
def test_a_cycle_is_found_however_it_is_imported(back, tmp_path):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "__init__.py").write_text("")
    (tmp_path / "methods" / "a.py").write_text("import methods.b\nthing = 1\n")
    (tmp_path / "methods" / "b.py").write_text("from methods.c import other\n")
    (tmp_path / "methods" / "c.py").write_text("other = 1\n")
    assert find_cycle(tmp_path) is None
    (tmp_path / "methods" / "c.py").write_text(f"other = 1\n{back}")
    assert find_cycle(tmp_path) == ["methods.a", "methods.b", "methods.c", "methods.a"]


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

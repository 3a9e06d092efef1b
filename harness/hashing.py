"""Hashes of JSON values and of source code: modules with everything that they import.

A hash of code is made of syntax trees without comments, docstrings and help texts, so that editing a sentence does not
change it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PROJECT_PACKAGES = ("harness", "methods")
"""Packages whose imports are followed. `reports` is not among them, since it cannot change a result."""


def hash_content(value: Any) -> str:
    """First 16 hex digits of the SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def hash_class(
    cls: type, kind: type, *more: str, without_imports: Iterable[str] = (), leave_out: Collection[str] = ()
) -> str:
    """Hash the code of a plugin's class: of its ancestors that are subclasses of `kind`, and of `more` modules.

    The modules of other ancestors (mix-ins) count without their imports, since they may belong to any library.
    """
    ancestors = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in sys.stdlib_module_names]
    own = [base.__module__ for base in ancestors if issubclass(base, kind)]
    mixed_in = [base.__module__ for base in ancestors if base.__module__ not in own]
    return hash_code((*own, *more), without_imports=(*without_imports, *mixed_in), leave_out=leave_out)


def hash_code(modules: Iterable[str], *, without_imports: Iterable[str] = (), leave_out: Collection[str] = ()) -> str:
    """First 16 hex digits of the SHA-256 over the code of modules and of everything that they import (`find_closure`).

    Modules in `without_imports` count without their imports.
    """
    closure = find_closure(modules, leave_out=leave_out)
    closure |= {name: file for name in without_imports if (file := _find_file(name))}
    digest = hashlib.sha256()
    for name in sorted(closure):
        own = name.partition(".")[0] in PROJECT_PACKAGES
        digest.update(f"{name}\0{_hash_source(closure[name].read_bytes(), own=own)}\0".encode())
    return digest.hexdigest()[:16]


def find_closure(modules: Iterable[str], *, leave_out: Collection[str] = ()) -> dict[str, Path]:
    """Name → file of the modules and of all modules that they import directly or indirectly, also inside functions.

    Imports are followed within `PROJECT_PACKAGES` and within the packages of the given modules. Of a third-party
    package all files count, since it may load its parts in any way. Modules without a file are skipped.
    """
    waiting = list(modules)
    others = {name.partition(".")[0] for name in waiting} - {*PROJECT_PACKAGES, "builtins", "abc"}
    waiting += [inner for package in others for inner in _list_modules(package)]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        inside = name.partition(".")[0] in (*PROJECT_PACKAGES, *others)
        if name in found or name in leave_out or not inside or (file := _find_file(name)) is None:
            continue
        found[name] = file
        waiting += _read_imports(file.read_bytes(), name if file.stem == "__init__" else name.rpartition(".")[0])
    return found


def _find_file(name: str) -> Path | None:
    """The source file of a module, without importing it; `None` if it has none."""
    top, _, rest = name.partition(".")
    package = sys.modules.get(top) or (importlib.import_module(top) if top in PROJECT_PACKAGES else None)
    if not rest:
        file = getattr(package, "__file__", None)
        return Path(file) if file else None
    for folder in getattr(package, "__path__", ()):
        place = Path(folder).joinpath(*rest.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _list_modules(package: str) -> Iterator[str]:
    """The names of all modules of a package; none if it is a single file."""
    for folder in getattr(sys.modules.get(package), "__path__", ()):
        for file in Path(folder).rglob("*.py"):
            yield ".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")


@cache
def _read_imports(source: bytes, package: str) -> frozenset[str]:
    """Names that a source file imports: modules, and names that may be modules or attributes of one."""
    names = set[str]()
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    # Importing a module also runs the packages that contain it.
    return frozenset(".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2))


@cache
def _hash_source(source: bytes, *, own: bool) -> str:
    """SHA-256 over the syntax tree of a source file; over its bytes if it is not valid Python.

    What calls mean by `help` or `summary` is known of the project's `own` code alone.
    """
    tree = (_ExplanationRemover() if own else _TextRemover()).visit(_parse(source))
    return hashlib.sha256(ast.dump(tree).encode() if tree.body else source).hexdigest()


def _parse(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


class _TextRemover(ast.NodeTransformer):
    """Removes docstrings, those of fields too."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a string that is a statement of its own: it has no effect."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)


class _ExplanationRemover(_TextRemover):
    """Removes also what the project's own code says to people: help of knobs and flags, and summaries."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Remove the line that a method or a metric is listed with."""
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return None if names == ["summary"] and isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Remove the explanations of a knob, a flag or a tuner; of a knob only the default has an effect."""
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in ("help", "summary", "source")]
        if isinstance(node.func, ast.Name) and node.func.id == "knob":
            node.args, node.keywords = node.args[:1], []
        return self.generic_visit(node)

"""Hashes of content, and of source code: of modules and all that they import.

A hash of code is over what it does and not over what it says: over the syntax trees, without comments, docstrings and
help texts, so that an edited sentence changes none.
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

OWN = ("harness", "methods")
"""Packages of the project whose imports are followed. What `reports` does with a result changes none."""


def hash_content(value: Any) -> str:
    """First 16 hex digits of the SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def hash_class(cls: type, kind: type, *more: str, alone: Iterable[str] = (), leave_out: Collection[str] = ()) -> str:
    """`hash_code` of a plugin's class: of the classes in its ancestry that are a `kind`, and of `more` modules.

    Of other classes that are mixed in, the modules count without their imports: they may be anyone's.
    """
    ancestors = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in sys.stdlib_module_names]
    own = [base.__module__ for base in ancestors if issubclass(base, kind)]
    mixed_in = [base.__module__ for base in ancestors if base.__module__ not in own]
    return hash_code((*own, *more), alone=(*alone, *mixed_in), leave_out=leave_out)


def hash_code(modules: Iterable[str], *, alone: Iterable[str] = (), leave_out: Collection[str] = ()) -> str:
    """First 16 hex digits of the SHA-256 over the code of modules and of what they import, as `find_closure` has it.

    `alone` are modules that count without their imports.
    """
    closure = find_closure(modules, leave_out=leave_out)
    closure |= {name: file for name in alone if (file := _find_file(name))}
    digest = hashlib.sha256()
    for name in sorted(closure):
        digest.update(f"{name}\0{_hash_source(closure[name].read_bytes())}\0".encode())
    return digest.hexdigest()[:16]


def find_closure(modules: Iterable[str], *, leave_out: Collection[str] = ()) -> dict[str, Path]:
    """Name → file of the modules, of those that they import, at the top or inside functions, and so on.

    Imports are followed within `OWN` and within the packages that the modules themselves are in. A package of someone
    else counts with all of its files, since nobody knows how it finds its parts. What has no file is passed over.
    """
    waiting = list(modules)
    others = {name.partition(".")[0] for name in waiting} - {*OWN, "builtins", "abc"}
    waiting += [inner for package in others for inner in _list_package(package)]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        inside = name.partition(".")[0] in (*OWN, *others)
        if name in found or name in leave_out or not inside or (file := _find_file(name)) is None:
            continue
        found[name] = file
        waiting += _read_imports(file.read_bytes(), name if file.stem == "__init__" else name.rpartition(".")[0])
    return found


def _find_file(name: str) -> Path | None:
    """The source file of a module, which is not imported for that; `None` where there is none."""
    top, _, rest = name.partition(".")
    package = sys.modules.get(top) or (importlib.import_module(top) if top in OWN else None)
    if not rest:
        file = getattr(package, "__file__", None)
        return Path(file) if file else None
    for folder in getattr(package, "__path__", ()):
        place = Path(folder).joinpath(*rest.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _list_package(package: str) -> Iterator[str]:
    """The names of all modules in the folders of a package; none of a module that is a single file."""
    for folder in getattr(sys.modules.get(package), "__path__", ()):
        for file in Path(folder).rglob("*.py"):
            yield ".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")


@cache
def _read_imports(source: bytes, package: str) -> frozenset[str]:
    """Names that a source imports: modules, and what may be a module or something inside one."""
    names = set[str]()
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    # Importing a module runs the packages around it, too.
    return frozenset(".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2))


@cache
def _hash_source(source: bytes) -> str:
    """SHA-256 over what a source does; over its bytes where it is no Python, which nobody can import."""
    tree = _WithoutWords().visit(_parse(source))
    return hashlib.sha256(ast.dump(tree).encode() if tree.body else source).hexdigest()


def _parse(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


class _WithoutWords(ast.NodeTransformer):
    """Takes out docstrings, of fields too, and the help texts of knobs and flags."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A text that stands alone does nothing."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """What a knob or a flag says of itself is for people; of a knob only the default does something."""
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "help"]
        if isinstance(node.func, ast.Name) and node.func.id == "knob":
            node.args, node.keywords = node.args[:1], []
        return self.generic_visit(node)

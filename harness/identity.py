"""Hashes that say what a result depends on: of canonical JSON, and of the code that makes it."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import methods
from methods.base import Method

METHODS = Path(methods.__file__).parent
LEFT_OUT = {"methods.errors", "methods.feedback"}
"""Imports that no result depends on: sentences, and types of what only some methods are given (`Method.feedback`)."""


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def code_hash(cls: type[Method]) -> str:
    """SHA-256 over the source that a result depends on: the method's class, what it inherits, all that these import of
    `methods`, the shared engine among it, and how models are loaded and evaluated."""
    bases = [base for base in cls.__mro__ if base.__module__ not in ("builtins", "abc")]
    files = {Path(module.__file__) for module in map(inspect.getmodule, bases) if module and module.__file__}
    files |= {METHODS / "feedback.py"} if cls.feedback else set()
    own = inspect.getmodule(cls)
    if own is not None and own.__file__ and own.__package__ and METHODS not in Path(own.__file__).parents:
        files |= set(Path(own.__file__).parent.rglob("*.py"))  # a package from elsewhere is all of its files
    files = _with_imports(files) | {
        Path(__file__).parent / name
        for name in ("evaluate.py", "general/forgetting.py", "repetition.py", "rouge.py", "models/loading.py")
    }
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: (file.name, file)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _with_imports(files: Iterable[Path]) -> set[Path]:
    """The files, and those of `methods` that they import, and so on."""
    found, waiting = set[Path](), list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imports(file.read_bytes())
            if file.parent.parent == METHODS:  # a method that is a package is all of its files
                waiting += file.parent.rglob("*.py")
    return found


@cache
def _imports(source: bytes) -> frozenset[Path]:
    """The files of `methods` that a source imports, at its top or inside functions."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # it lies beside a plugin, and nobody can import it
        return frozenset()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".")[1:] for name in names - LEFT_OUT if name.startswith("methods.")]
    places = [METHODS.joinpath(*part) for part in parts]
    candidates = {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")}
    return frozenset(filter(Path.is_file, candidates))

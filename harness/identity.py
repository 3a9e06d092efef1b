"""Hashes that say what a result depends on: of canonical JSON, and of the code that makes it."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

from methods.base import Method


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def code_hash(cls: type[Method]) -> str:
    """SHA-256 over the source that a result depends on: the method's class, what it inherits, the shared engine, and
    how models are loaded and evaluated."""
    import methods.base
    import methods.checkpoint
    import methods.encoding
    import methods.feedback
    import methods.loss
    import methods.training

    bases = [base for base in cls.__mro__ if base.__module__ not in ("builtins", "abc")]
    shared = [methods.checkpoint, methods.encoding, methods.loss, methods.training]
    shared += [methods.feedback] if cls.feedback else []
    modules = [*map(inspect.getmodule, bases), *shared]
    files = {Path(module.__file__) for module in modules if module is not None and module.__file__}
    files |= {
        Path(__file__).parent / name
        for name in ("evaluate.py", "general/forgetting.py", "repetition.py", "rouge.py", "models/loading.py")
    }
    # A method that is a package of its own is all of its files, those of its relatives too; so is one from elsewhere.
    root = Path(methods.base.__file__).parent
    files |= {file for found in files if found.parent.parent == root for file in found.parent.rglob("*.py")}
    own = inspect.getmodule(cls)
    if own is not None and own.__file__ and own.__package__ and root not in Path(own.__file__).parents:
        files |= set(Path(own.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: (file.name, file)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

"""Loads the Python files of the working directory without making them importable for anyone else.

`sys.path` does not get the directory, so that a file of the user's called `evaluate.py`, `datasets.py` or `torch.py` is
never taken for the library of that name. A file is loaded under a private name; the files of one directory can import
each other by their plain names all the same, where no installed module has the name.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "_harness_user_"


def load_module(name: str) -> ModuleType:
    """The module that has this name in the working directory, else the installed one.

    Raises `ModuleNotFoundError` where there is neither, and whatever the module's own code raises.
    """
    own = f"{_make_package(Path.cwd())}.{name}"
    return importlib.import_module(own if _is_file(own) else name)


def _make_package(directory: Path) -> str:
    """The private package that stands for a directory; its name is made if it is new."""
    name = _PREFIX + hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    if name not in sys.modules:
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(directory)]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # it answers to private names alone
    return name


def _is_file(module: str) -> bool:
    """Whether a private name is that of a file or a package; a folder that only holds data is none."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            return False  # a package above it is not there
        raise
    return spec is not None and spec.has_location


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        loaders = (_Loader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
        # A new finder each time, since one keeps what it saw in the folder.
        found = (FileFinder(str(folder), *loaders).find_spec(fullname) for folder in path or ())
        return next((spec for spec in found if spec is not None), None)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, whose import statements look into its directory, too."""
        importer = _Importer(module.__name__.partition(".")[0])
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": importer}
        super().exec_module(module)


class _Importer:
    """What the import statements of a module of the user's do: as everywhere, and else look into its directory."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        top = name.partition(".")[0]
        try:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        except ModuleNotFoundError as error:
            if level or error.name != top or find_spec(f"{self._package}.{top}") is None:
                raise
        whole = f"{self._package}.{name}"
        if fromlist:
            return builtins.__import__(whole, globals, locals, fromlist, 0)
        importlib.import_module(whole)
        return sys.modules[f"{self._package}.{top}"]

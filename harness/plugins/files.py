"""`--plugin FILE`: a Python file whose methods, metrics, launchers and tasks can be used like installed ones.

Its code runs because the user names it, and only then: in this process and in every worker.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import tasks
from harness.errors import SpecError
from harness.launchers import registry as launchers
from harness.launchers.base import Launcher
from harness.names import expand_home, is_valid_path
from harness.scoring import registry as metrics
from harness.scoring.base import MetricPlugin
from methods import registry as methods
from methods.base import Method
from methods.catalogue import Catalogue
from methods.errors import describe_error_with_type

KINDS: tuple[tuple[Catalogue[Any], type], ...] = (
    (methods.CATALOGUE, Method),
    (metrics.CATALOGUE, MetricPlugin),
    (launchers.CATALOGUE, Launcher),
)
"""A class of the file that is one of these can be chosen by its `name`."""
TABLE = "TASKS"
"""The file's table of tasks: name → function, as in `harness.tasks`."""

Brought = Mapping[str, tuple[str, ...]]
"""Kind → names."""


def add_files(value: Any) -> tuple[str, ...]:
    """A file or a list of them → the same as a tuple, once all are registered. Raises one sentence, as `add_file`."""
    files = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else None
    if files is None or not all(isinstance(file, str) and is_valid_path(file) for file in files):
        raise SpecError(f"--plugin {value!r}: give a Python file, or a list of them")
    paths = [expand_home(file, "--plugin") for file in files]
    for path in paths:
        add_file(path)
    return tuple(map(str, paths))


def add_file(path: Path) -> Brought:
    """Run a Python file and register what it defines. Only for files that the user names.

    Raises `SpecError` for a file that cannot be run or has nothing to register, and the error of the kind for what
    cannot be used or has a name that is taken; nothing of the file is registered then.
    """
    module_name = f"harness_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    if module_name in tasks.CATALOGUE.files:  # registered before
        return _list_brought(module_name)
    module = _run(path, module_name)
    found = [(catalogue, _find_classes(module, base, path)) for catalogue, base in KINDS]
    found.append((tasks.CATALOGUE, _find_tasks(module, path)))
    if not any(brought for _, brought in found):
        raise SpecError(
            f"the plugin {path} has nothing to register: it defines no subclass of methods.base.Method "
            f"(or of MetricPlugin or Launcher) and no table {TABLE}"
        )
    accepted = [(catalogue, catalogue.accept(brought)) for catalogue, brought in found]
    for catalogue, brought in accepted:
        catalogue.add(brought, module_name)
    return _list_brought(module_name)


def _list_brought(file: str) -> Brought:
    return {catalogue.kind: catalogue.files[file] for catalogue in (*(one for one, _ in KINDS), tasks.CATALOGUE)}


def _run(path: Path, module_name: str) -> ModuleType:
    """The file as a module. Raises `SpecError` for one that cannot be run."""
    spec = importlib.util.spec_from_file_location(module_name, path)
    if not path.exists():
        raise SpecError(f"the plugin file {path} does not exist")
    if spec is None or spec.loader is None or not path.is_file():
        raise SpecError(f"the plugin {path} is not a Python file; name one that ends in .py")
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's code, and may do anything
        del sys.modules[module_name]
        raise SpecError(f"the plugin {path} cannot be run: {describe_error_with_type(error)}") from error
    return module


def _find_classes(module: ModuleType, base: type, path: Path) -> list[tuple[str, str, Any]]:
    """Name, origin and class of the file's own subclasses; not of an abstract one that others of them share."""
    own = [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and (value.__module__, value.__name__) == (module.__name__, key)
    ]
    made = [cls for cls in own if not (inspect.isabstract(cls) and any(cls in other.__mro__[1:] for other in own))]
    return [(str(getattr(cls, "name", cls.__name__)), f"{path}:{cls.__name__}", cls) for cls in made]


def _find_tasks(module: ModuleType, path: Path) -> list[tuple[str, str, Any]]:
    """Name, origin and function of the tasks in the file's table. Raises `SpecError` for anything but a table."""
    table = getattr(module, TABLE, {})
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
        raise SpecError(f"the plugin {path}: {TABLE} is not a table of names and functions")
    return [(name, f"{path}:{getattr(load, '__name__', TABLE)}", load) for name, load in table.items()]

"""Finding a method by name: the table in `methods/__init__.py`, entry points of installed packages, and named files.

A class is imported only when it is asked for. Entry points live in the group `harness.methods`; a name that is
already taken is refused with both origins named, and a plugin that cannot be imported breaks nothing but itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from methods import METHODS
from methods.base import Method
from methods.errors import (
    InvalidMethodError,
    InvalidSettingError,
    UnknownKnobError,
    UnknownMethodError,
    nearest,
    wanted,
)

GROUP = "harness.methods"
_FILES: dict[str, str] = {}
"""Methods of files that `add_file` was given, as in `origins`."""


@lru_cache(maxsize=1)
def origins() -> Mapping[str, str]:
    """Name → `module:Class` for every registered method. Raises `InvalidMethodError` for a name taken twice."""
    table = dict(METHODS)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if table.get(point.name, point.value) != point.value:
            raise InvalidMethodError(
                f"the method name {point.name!r} is taken twice: by {table[point.name]} and by {point.value}"
            )
        table[point.name] = point.value
    return table | _FILES


def add_file(path: Path) -> list[str]:
    """Run a Python file and register the methods that it defines; their names. Only for files that the user names.

    Raises `InvalidMethodError` for a file that cannot be run, has no method, or one whose name is taken.
    """
    module_name = f"harness_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    held = [name for name, value in _FILES.items() if value.startswith(f"{module_name}:")]
    if held:
        return held
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidMethodError(f"the plugin {path} is no Python file; name one that ends in .py")
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's code, and may do anything
        del sys.modules[module_name]
        reason = " ".join(str(error).split())
        raise InvalidMethodError(f"the plugin {path} cannot be run: {type(error).__name__}: {reason}") from error
    found = [
        (key, value)
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module_name
    ]
    named = [(getattr(value, "name", key), key, value) for key, value in found if not inspect.isabstract(value)]
    if not named:
        raise InvalidMethodError(f"the plugin {path} defines no subclass of methods.base.Method")
    for name, key, value in named:
        if (taken := origins().get(name)) is not None:
            raise InvalidMethodError(f"the method name {name!r} is taken twice: by {taken} and by {path}")
        checked(name, value, f"{path}:{key}")
    _FILES.update({name: f"{module_name}:{key}" for name, key, _ in named})
    origins.cache_clear()
    return [name for name, _, _ in named]


def get(name: str) -> type[Method]:
    """The method class of this name. Raises `UnknownMethodError` or `InvalidMethodError`."""
    known = origins()
    if name not in known:
        visible = [key for key in known if METHODS.get(key) is None or get(key).role != "fake"]
        raise UnknownMethodError(f"unknown method {name!r}{nearest(name, visible)}")
    module, _, attribute = known[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a plugin's import may raise anything; it must not take the harness down
        raise InvalidMethodError(f"method {name!r} ({known[name]}) cannot be imported: {error}") from error
    return checked(name, found, known[name])


def checked(name: str, found: Any, origin: str) -> type[Method]:
    """Return `found` if it is a usable method class of this name; else raise `InvalidMethodError`."""
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InvalidMethodError(f"{origin} is not a subclass of methods.base.Method")
    if getattr(found, "name", None) != name:
        raise InvalidMethodError(
            f"{origin} is registered as {name!r} but calls itself {getattr(found, 'name', None)!r}"
        )
    if not getattr(found, "summary", ""):
        raise InvalidMethodError(f"{origin} has no summary")
    if not (dataclasses.is_dataclass(found.Config) and found.Config.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise InvalidMethodError(f"the Config of {origin} is not a frozen dataclass")
    return found


def all_methods() -> Iterator[tuple[str, type[Method] | InvalidMethodError]]:
    """Every registered name with its class, or with the error that keeps it from being used."""
    for name in origins():
        try:
            yield name, get(name)
        except InvalidMethodError as error:
            yield name, error


def build(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """An instance of the method with these knobs changed; text values are read as the knob's type.

    Raises `UnknownMethodError`, `UnknownKnobError` or `InvalidSettingError`, each with the nearest valid choice.
    """
    cls = get(name)
    method = cls(configured("method", name, cls.Config, settings or {}))
    for knob, value in method.settings().items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidSettingError(f"{name}.{knob}: must be a finite number (given: {value})")
    return method


def configured(kind: str, name: str, config: type[Any], settings: Mapping[str, Any]) -> Any:
    """The config of a plugin with these knobs changed. Raises `UnknownKnobError` or `InvalidSettingError`."""
    from pydantic import TypeAdapter, ValidationError

    knobs = {field.name: field for field in dataclasses.fields(config)}
    for knob in settings:
        if knob not in knobs:
            raise UnknownKnobError(f"{kind} {name!r} has no knob {knob!r}{nearest(knob, knobs)}")
    try:
        return TypeAdapter(config).validate_python(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        knob = ".".join([name, *(str(part) for part in first["loc"][:1])])
        raise InvalidSettingError(f"{knob}: {wanted(first)}") from error

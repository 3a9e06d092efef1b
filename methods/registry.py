"""Finding a method by name: the table in `methods/__init__.py`, then entry points of installed packages.

A class is imported only when it is asked for. Entry points live in the group `harness.methods`; a name that is
already taken is refused with both origins named, and a plugin that cannot be imported breaks nothing but itself.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
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
    return table


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

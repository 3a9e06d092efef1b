"""Whether parsed JSON has the shape that annotations declare: the declarations of a record are its schema too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from reports.errors import RecordError


def check(value: Any, hint: Any, where: str) -> None:
    """Raise `RecordError`, naming the field `where`, unless `value` is what `hint` says.

    Knows what records use: dataclasses (as JSON objects), mappings, tuples of any length (as JSON lists), unions,
    literals, plain types and `Any`. A number is finite; an int will do for a float; a bool is not a number.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        _check_union(value, inner, where)
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        _demand(isinstance(value, Mapping), where)
        _check_fields(value, hint, where)
    elif origin is Mapping:
        _demand(isinstance(value, Mapping), where)
        for name, item in value.items():
            check(item, inner[1], f"{where}.{name}")
    elif origin is tuple:
        _demand(isinstance(value, list | tuple), where)
        for index, item in enumerate(value):
            check(item, inner[0], f"{where}[{index}]")
    else:
        _demand(_is_plain(value, hint, origin, inner), where)


def _check_fields(value: Mapping[str, Any], cls: type, where: str) -> None:
    hints = get_type_hints(cls)
    needed = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    for name in sorted(needed - value.keys()):
        raise RecordError(f"{_path(where, name)} is missing")
    for name, item in value.items():
        if name not in hints:
            raise RecordError(f"{_path(where, name)} is unknown")
        check(item, hints[name], _path(where, name))


def _check_union(value: Any, options: tuple[Any, ...], where: str) -> None:
    if value is None and type(None) in options:
        return
    others = [option for option in options if option is not type(None)]
    for option in others[:-1]:
        try:
            return check(value, option, where)
        except RecordError:
            continue
    check(value, others[-1], where)


def _is_plain(value: Any, hint: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    if hint is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if hint in (int, float):
        number = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    return isinstance(value, hint)


def _demand(holds: bool, where: str) -> None:
    if not holds:
        raise RecordError(f"{where} has a value of the wrong kind")


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name

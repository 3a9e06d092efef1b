"""Fields of a PEFT config as knobs of ours, and knobs as what that config takes.

A list is written as its items joined by `+`, and PEFT's `None` as `none`, so that every knob is a JSON value that a
flag can give. What a user leaves alone is not passed on: PEFT's own default holds, whatever its type.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from methods.errors import InvalidSettingError
from methods.knobs import knob
from methods.peft.introspection import Field
from methods.types import TrainingConfig

NONE, AUTO = "none", "auto"
_ORDER = (bool, int, float, str)
"""Pydantic tries the members of a union in this order where several fit equally well."""


def make_config_class(
    tuner: str,
    base: type[TrainingConfig],
    fields: Mapping[str, Field],
    defaults: Mapping[str, Any],
    auto: Iterable[str],
    source: str,
) -> type[TrainingConfig]:
    """The frozen dataclass of a tuner's knobs: those of `base`, then PEFT's fields.

    `defaults` are those that are not PEFT's own, of knobs of `base` too; `auto` names knobs that may be left to the
    model, which they are by default; `source` says where the learning rate comes from.
    """
    own = {field.name: field.type for field in dataclasses.fields(base)}
    sources = {"learning_rate": f"{source}."}
    made = [
        (name, own[name], knob(value, source=sources.get(name, ""))) for name, value in defaults.items() if name in own
    ]
    for name, read in fields.items():
        allowed, value = _get_knob_type(read), defaults.get(name, to_knob_value(read.default))
        if name in auto:
            allowed, value = allowed | Literal["auto"], AUTO
        made.append((name, allowed, knob(value, read.help)))
    made_class: type[TrainingConfig] = dataclasses.make_dataclass(
        f"{tuner.title().replace('_', '')}Config",
        made,
        bases=(base,),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": f"Knobs of PEFT's {tuner}; defaults are PEFT's own."},
    )
    return made_class


def to_knob_value(value: Any) -> Any:
    """A value of PEFT's as a knob has it."""
    if value is None:
        return NONE
    if isinstance(value, tuple | list):
        return "+".join(map(str, value)) or NONE
    return value


def to_peft_value(method: str, field: Field, value: Any) -> Any:
    """A knob's value as PEFT takes it. Raises `InvalidSettingError` for a list whose items are of the wrong type."""
    kind = field.kind
    if value == NONE and NONE not in kind.choices:
        return None
    if kind.items and isinstance(value, str):
        if value == "all-linear":  # PEFT's own word for every linear layer but the output head
            return value
        item = next(iter(kind.items))
        try:
            return [item(part) for part in value.split("+")]
        except ValueError as error:
            raise InvalidSettingError(
                f"{method}.{field.name}: give {item.__name__} values joined by + (given: {value!r})"
            ) from error
    if isinstance(value, str) and bool in kind.scalars and value in ("true", "false"):
        return value == "true"
    return value


def _get_knob_type(field: Field) -> Any:
    """The type that a knob's value is checked against."""
    kind = field.kind
    members: list[Any] = [scalar for scalar in _ORDER if scalar in kind.scalars]
    if kind.choices:
        members.append(Literal[kind.choices])
    if kind.items and str not in members:
        members.append(str)
    if kind.optional or (kind.items and field.default == ()):
        members.append(Literal["none"])
    return functools.reduce(operator.or_, members)

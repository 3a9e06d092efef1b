"""Turns fields of PEFT's configs into knobs, and values of knobs into values for PEFT.

A list is written as its items joined by `+`, and PEFT's `None` as `none`, so that every knob is a JSON value that can
be given on the command line. Knobs that a user does not set are not passed on, so that PEFT's own default applies.
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
"""The order in which pydantic tries the members of a union if several fit equally well."""


def make_config_class(
    tuner: str,
    base: type[TrainingConfig],
    fields: Mapping[str, Field],
    defaults: Mapping[str, Any],
    auto: Iterable[str],
    source: str,
) -> type[TrainingConfig]:
    """Make the frozen dataclass of a tuner's knobs: those of `base`, then PEFT's fields.

    `defaults` replaces defaults of `base` and of PEFT; `auto` names the knobs that are chosen from model and data by
    default; `source` says where the learning rate comes from.
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
    """Convert a value of PEFT's config to the value of a knob."""
    if value is None:
        return NONE
    if isinstance(value, tuple | list):
        return "+".join(map(str, value)) or NONE
    return value


def to_peft_value(method: str, field: Field, value: Any) -> Any:
    """Convert a knob's value to what PEFT expects. Raises `InvalidSettingError` if list items are of the wrong type."""
    kind = field.kind
    if value == NONE and NONE not in kind.choices:
        return None
    if kind.items and isinstance(value, str):
        if value == "all-linear":  # PEFT's name for every linear layer except the output head
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
    """Return the type that a knob's value is checked against."""
    kind = field.kind
    members: list[Any] = [scalar for scalar in _ORDER if scalar in kind.scalars]
    if kind.choices:
        members.append(Literal[kind.choices])
    if kind.items and str not in members:
        members.append(str)
    if kind.optional or (kind.items and field.default == ()):
        members.append(Literal["none"])
    return functools.reduce(operator.or_, members)

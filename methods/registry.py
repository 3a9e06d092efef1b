"""Finds a method by name, and builds it with its settings.

Methods come from the table in `methods/__init__.py`, from entry points of the group `harness.methods`, and from files
that the user names; `methods.catalogue` has the rules for all three.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from methods import FAMILIES, METHODS
from methods.base import Method
from methods.catalogue import Catalogue, check_class
from methods.errors import (
    InvalidMethodError,
    InvalidSettingError,
    RuleError,
    UnknownKnobError,
    UnknownMethodError,
    describe_error,
    describe_pydantic_error,
    suggest_names,
)


def get(name: str) -> type[Method]:
    """The method class of this name. Raises `UnknownMethodError` or `InvalidMethodError`."""
    return CATALOGUE.get(name)


def _make_unknown_error(name: str) -> UnknownMethodError:
    """Make the error for an unknown name. Names of fake methods are not suggested."""
    fakes = {key for key in METHODS if getattr(CATALOGUE.find(key), "role", None) == "fake"}
    return UnknownMethodError(f"unknown method {name!r}{suggest_names(name, CATALOGUE.origins().keys() - fakes)}")


def check_method(name: str, found: Any, origin: str) -> type[Method]:
    """Return `found` if it is a usable method class of this name; else raise `InvalidMethodError`."""
    cls = check_class(name, found, origin, Method, InvalidMethodError)  # type: ignore[type-abstract]
    if not (dataclasses.is_dataclass(cls.Config) and cls.Config.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise InvalidMethodError(f"the Config of {origin} is not a frozen dataclass")
    try:
        json.dumps(cls().settings())
    except Exception as error:  # a knob without a default, invalid defaults, or values that are not JSON types
        raise InvalidMethodError(f"{origin} cannot be made with its defaults: {describe_error(error)}") from error
    return cls


def list_own_methods() -> Mapping[str, str]:
    """Map the names of the project's own methods to `module:attribute`."""
    families = [import_module(family).methods() for family in FAMILIES]
    return {name: origin for methods in (METHODS, *families) for name, origin in methods.items()}


CATALOGUE = Catalogue("method", list_own_methods, check_method, InvalidMethodError, _make_unknown_error)


def all_methods() -> Iterator[tuple[str, type[Method] | Exception]]:
    """Every registered name with its class, or with the error that explains why it cannot be used."""
    return CATALOGUE.all()


def build(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """Build the method with these knobs changed. Text values are converted to the knob's type.

    Raises `UnknownMethodError`, `UnknownKnobError` or `InvalidSettingError`, each with the nearest valid choice.
    """
    cls = get(name)
    method = cls(make_config("method", name, cls.Config, settings or {}))
    for knob, value in method.settings().items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidSettingError(f"{name}.{knob}: must be a finite number (given: {value})")
    return method


def make_config(kind: str, name: str, config: type, settings: Mapping[str, Any]) -> Any:
    """Make a plugin's config with these knobs changed. Raises `UnknownKnobError` or `InvalidSettingError`."""
    from pydantic import ValidationError

    knobs = {field.name: field for field in dataclasses.fields(config)}
    for knob in settings:
        if knob not in knobs:
            raise UnknownKnobError(f"{kind} {name!r} has no knob {knob!r}{suggest_names(knob, knobs)}")
    try:
        made = _make_type_adapter(config).validate_python(dict(settings))
    except ValidationError as error:
        raise InvalidSettingError(_describe_rule(name, settings, error.errors()[0])) from error
    if wrong := find_truth_value_for_number(made, settings):
        raise InvalidSettingError(f"{name}.{wrong}: must be a number (given: {settings[wrong]})")
    return made


def find_truth_value_for_number(made: Any, given: Mapping[str, Any]) -> str | None:
    """The first field for which a truth value was given, and of which pydantic made the number 1 or 0."""
    fields = (name for name, value in given.items() if isinstance(value, bool))
    return next((name for name in fields if type(getattr(made, name)) in (int, float)), None)


def _describe_rule(name: str, settings: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    """Describe one of pydantic's errors about a knob; if the config's own rule is broken, give that rule."""
    if error["loc"]:
        return f"{name}.{error['loc'][0]}: {describe_pydantic_error(error)}"
    rule = error.get("ctx", {}).get("error")
    if not isinstance(rule, RuleError):
        return f"{name}: {str(error['msg']).removeprefix('Value error, ')}"
    given = f" (given: {settings[rule.knob]})" if rule.knob in settings else ""
    return f"{name}.{rule.knob}: {rule.rule}{given}"


@cache
def _make_type_adapter(config: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(config)

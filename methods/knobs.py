"""Knobs: config fields whose metadata says what they mean and where their default comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

_HELP, _SOURCE = "help", "source"


def knob(default: Value, help: str = "", *, source: str = "") -> Value:
    """Declare a field of a config dataclass together with the text that `list methods METHOD --knobs` prints.

    `help` says what the knob means and in which unit; `source` says where the default comes from. A subclass that only
    changes the default gives no `help`, which is inherited, but a `source` of its own.
    """
    # Typed as the value, as `dataclasses.field` is: this stands where a class body has the default.
    field: Value = dataclasses.field(default=default, metadata={_HELP: help, _SOURCE: source})
    return field


def explain_knobs(config: type) -> Mapping[str, str]:
    """Map each knob to what it means and where its default comes from; to an empty text if the field says neither."""
    texts = {}
    for field in dataclasses.fields(config):
        source = field.metadata.get(_SOURCE, "")
        parts = (_find_help(config, field.name), source and f"Default: {source}")
        texts[field.name] = " ".join(part for part in parts if part)
    return texts


def _find_help(config: type, name: str) -> str:
    """Find the help of a knob in the nearest class that gives one."""
    declared = (vars(cls).get("__dataclass_fields__", {}).get(name) for cls in config.__mro__)
    return next((text for field in declared if field and (text := field.metadata.get(_HELP, ""))), "")

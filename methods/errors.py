"""Errors that a method raises, each with one sentence for the user, and helpers that describe errors.

MethodError
├── UnknownMethodError    no such name; the nearest names are in the sentence
├── InvalidMethodError    a plugin that is not a usable `Method` class
├── UnknownKnobError      a setting that the method's config does not have
├── InvalidSettingError   a setting of the wrong type or out of range
├── UnsupportedError      this method cannot serve this model, machine or task
├── RewardModelError      a reward model that is too inaccurate to optimise
├── DivergedError         the loss became NaN or infinite
└── RewardError           a reward that raises, or gives something else than one finite number for each response
"""

from __future__ import annotations

import difflib
import errno
import importlib.util
import re
from collections.abc import Iterable, Mapping
from typing import Any


class MethodError(Exception):
    """Anything wrong with a method or its settings."""


class UnknownMethodError(MethodError):
    """No method has this name."""


class InvalidMethodError(MethodError):
    """The registered object is not a usable method class."""


class UnknownKnobError(MethodError):
    """The method's config has no such field."""


class InvalidSettingError(MethodError):
    """A value of the wrong type or outside its range."""


class UnsupportedError(MethodError):
    """The method cannot serve this model, machine or task; said before anything is loaded where possible."""


class RewardModelError(MethodError):
    """The reward model ranks held-out pairs hardly better than chance."""


class DivergedError(MethodError):
    """The training loss became NaN or infinite at `step` (counted from 1)."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(f"the training loss became {loss} at step {step}; try a lower learning rate")
        self.step = step
        self.loss = loss


class RewardError(MethodError):
    """A reward failed; the sentence names it, the reason and the sample that caused it."""


class RuleError(ValueError):
    """The value of `knob` breaks a `rule`; pydantic lets no others through than errors of this kind of Python's."""

    def __init__(self, knob: str, rule: str) -> None:
        super().__init__(f"{knob} {rule}")
        self.knob = knob
        self.rule = rule


def describe_error(error: BaseException, most: int | None = 200) -> str:
    """An error's message on one line, cut to `most` characters; the name of its type if the message is empty."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def describe_error_with_type(error: BaseException, most: int | None = 200) -> str:
    """The same after the name of its type, as in a traceback: `ValueError: message`."""
    kind, said = type(error).__name__, describe_error(error, most)
    return kind if said == kind else f"{kind}: {said}"


def explain_missing_package(module: str, package: str) -> str | None:
    """Say which package to install if a module is missing, as the end of a sentence; None if it is installed."""
    if importlib.util.find_spec(module) is not None:
        return None
    return f"needs the package {package}: pip install {package}"


def find_near_names(name: str, known: Iterable[str]) -> list[str]:
    """At most three of the known names that look like this one, the most alike first."""
    small = {other.lower(): other for other in sorted(known)}  # capitals should lead nobody astray
    return [small[other] for other in difflib.get_close_matches(name.lower(), small, n=3, cutoff=0.5)]


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean a, b?)` with the nearest known names, or ` (known: …)` where none is near."""
    names = sorted(known)
    close = find_near_names(name, names)
    return f" (did you mean {', '.join(close)}?)" if close else f" (known: {', '.join(names) or 'none'})"


_WANTED = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a mapping",
}


_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
"""Kind of error → words for it, and where its bound stands in what pydantic tells."""


def describe_pydantic_error(error: Mapping[str, Any]) -> str:
    """Describe one of pydantic's errors for users who do not know pydantic: what is allowed, and what was given."""
    kind = str(error["type"])
    if kind == "literal_error":
        reason = f"must be {error['ctx']['expected']}"
    elif kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        reason = f"must be {words} {error['ctx'][bound]:g}"
    else:
        reason = _WANTED.get(kind.partition("_")[0]) or str(error["msg"]).removeprefix("Value error, ")
    return f"{reason} (given: {error['input']!r})"


_MEMORY = re.compile(
    r"out of memory|not enough memory|can(no|')t allocate memory|bad_alloc|ALLOC_FAILED|insufficient memory",
    re.IGNORECASE,
)
"""Messages of the allocators of host, CUDA, its libraries and other devices."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error, or one that it was raised from, means out of memory; PyTorch's may be a `RuntimeError`."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError | OSError) and _MEMORY.search(describe_error(error, None)):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)

"""What `--tune` asks for: which knobs are searched, between which values. `harness.running.knob_search` tries them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from harness.errors import SpecError
from methods import registry
from methods.base import Method
from methods.errors import MethodError, suggest_names

ALIASES = {"lr": "learning_rate"}
"""Short names of knobs that `--tune` takes."""
FLOAT_FACTOR, INT_FACTOR = 10.0, 4
"""Without a range, a knob is searched from its default divided by this to its default times this, on a log scale."""
DIGITS = 3
"""Significant digits of a value that is tried; more would not change a result, and nobody could read them."""
EDGE = 0.05
"""Share of a range at each of its ends in which a choice counts as lying on the edge."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where a knob is searched: from `low` to `high`, or among `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def at(self, share: float) -> Any:
        """The value at a share of the way, from 0 to just below 1."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        if self.log:
            return self.rounded(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return self.rounded(self.low + share * (self.high - self.low))

    def rounded(self, value: Any) -> Any:
        """The value as it is tried."""
        if self.choices:
            return value
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def is_edge(self, value: Any) -> bool:
        """Whether better values may lie beyond: it is at an end of what was searched."""
        if self.choices:
            ordered = len(self.choices) > 2 and not any(isinstance(choice, str | bool) for choice in self.choices)
            return ordered and value in (min(self.choices), max(self.choices))
        if self.whole and value in (self.low, self.high):
            return True
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return not EDGE < (at - low) / (high - low) < 1 - EDGE

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Wanted:
    """One item of `--tune`: a knob of every method that has it, or of one."""

    knob: str
    method: str | None = None
    domain: Domain | None = None
    """`None` where the knob's default says where to search."""


def parse_tune(value: Any) -> tuple[Wanted, ...]:
    """`lr,lora.r=4|8|16,warmup=0..0.2` or a list → what to search. Raises `SpecError`."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items or not all(isinstance(item, str) for item in items):
        raise SpecError(f"cannot read what to tune, {value!r}: give knobs separated by commas, such as lr,r")
    found = [_wanted(item.strip()) for item in items]
    names = [(wanted.method, wanted.knob) for wanted in found]
    for method, knob in names:
        if names.count((method, knob)) > 1:
            raise SpecError(f"--tune names {knob!r} twice")
    return tuple(found)


def space(wanted: tuple[Wanted, ...], method: Method, fixed: Mapping[str, Any]) -> dict[str, Domain]:
    """Knob → domain for a method as it stands; knobs that it lacks, and those the user has `fixed`, are left out.

    An item that names the method comes before one that names none. Raises `SpecError`.
    """
    found: dict[str, Domain] = {}
    for item in sorted(wanted, key=lambda item: item.method is not None):
        settings = method.settings()
        if item.method in (None, method.name) and item.knob in settings and item.knob not in fixed:
            domain = item.domain or _around(method, item.knob, settings[item.knob])
            found[item.knob] = _checked(method, item.knob, domain)
    return found


def require_knobs(wanted: tuple[Wanted, ...], methods: Mapping[str, Method]) -> None:
    """Raise `SpecError` for an item of `--tune` that no method of the run (by name) can follow."""
    for item in wanted:
        if item.method is not None and item.method not in methods:
            raise SpecError(f"--tune {item.method}.{item.knob}: {item.method!r} is not among the methods of this run")
        able = [methods[item.method]] if item.method else list(methods.values())
        knobs = {knob for method in able for knob in method.settings()}
        if item.knob not in knobs:
            nobody = f"{item.method} has no such knob" if item.method else "no method of this run has such a knob"
            raise SpecError(f"--tune {item.knob}: {nobody}{suggest_names(item.knob, knobs)}")


def _wanted(item: str) -> Wanted:
    name, equals, values = item.partition("=")
    method, dot, knob = name.strip().rpartition(".")
    if not knob or (dot and not method) or (equals and not values.strip()):
        raise SpecError(f"cannot read {item!r} in --tune: write KNOB, METHOD.KNOB, KNOB=LOW..HIGH or KNOB=A|B|C")
    return Wanted(ALIASES.get(knob, knob), method or None, _domain(item, values.strip()) if equals else None)


def _domain(item: str, text: str) -> Domain:
    if ".." not in text:
        choices = tuple(_scalar(choice.strip()) for choice in text.split("|"))
        if len(set(choices)) < 2 or "" in choices:
            raise SpecError(f"--tune {item}: give at least two different values, separated by |")
        return Domain(choices=choices)
    try:
        low, high = (float(end) for end in text.split(".."))
    except ValueError as error:
        raise SpecError(f"--tune {item}: a range is written LOW..HIGH, such as 1e-4..1e-2") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SpecError(f"--tune {item}: the first number must be below the second")
    return Domain(low=low, high=high, log=low > 0 and high / low >= 10)


def _scalar(text: str) -> Any:
    """A choice as a number, where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def _around(method: Method, knob: str, default: Any) -> Domain:
    """Where to search a knob of which only its default and its type are known."""
    hint = get_type_hints(type(method.config))[knob]
    if get_origin(hint) is Literal:
        return Domain(choices=get_args(hint))
    if isinstance(default, bool):
        return Domain(choices=(False, True))
    if isinstance(default, int) and default > 0:
        return Domain(low=max(1, default // INT_FACTOR), high=default * INT_FACTOR, log=True, whole=True)
    if isinstance(default, float) and default > 0:
        return Domain(low=default / FLOAT_FACTOR, high=default * FLOAT_FACTOR, log=True)
    raise SpecError(
        f"--tune {knob}: no range follows from {method.name}'s default, {default!r}; "
        f"give one, such as --tune {knob}=LOW..HIGH or {knob}=A|B"
    )


def _checked(method: Method, knob: str, domain: Domain) -> Domain:
    """The domain, whose ends the method takes, and whole where the knob is."""
    hint = get_type_hints(type(method.config))[knob]
    if hint is int and not domain.choices:
        domain = Domain(low=math.ceil(domain.low), high=math.floor(domain.high), log=domain.log, whole=True)
        if domain.low >= domain.high:
            raise SpecError(f"--tune {knob}: between these ends lie no two whole numbers")
    for value in domain.choices or (domain.low, domain.high):
        try:
            registry.build(method.name, {**method.settings(), knob: value})
        except MethodError as error:
            raise SpecError(f"--tune {knob}: {error}") from error
    return domain

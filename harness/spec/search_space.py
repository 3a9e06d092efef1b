"""Reads `--tune`: which knobs are searched, and over which values. `harness.running.knob_search` does the search."""

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
"""Short names of knobs in `--tune`."""
FLOAT_FACTOR, INT_FACTOR = 10.0, 4
"""Without a range, a knob is searched from its default divided by the factor to its default times the factor."""
DIGITS = 3
"""Significant digits of the values that are tried; more would not change a result."""
EDGE = 0.05
"""Share of a range, at each end, in which the best value counts as lying at the edge."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """The values over which a knob is searched: from `low` to `high`, or the `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def pick(self, share: float) -> Any:
        """The value at a share of the range, from 0 to just below 1."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        if self.log:
            return self.round_value(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return self.round_value(self.low + share * (self.high - self.low))

    def round_value(self, value: Any) -> Any:
        """Round to a value that is tried: to a whole number, or to `DIGITS` significant digits."""
        if self.choices:
            return value
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def is_at_edge(self, value: Any) -> bool:
        """Whether a value lies at the edge of the range, so that better values may lie outside."""
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
class TunedKnob:
    """One item of `--tune`: a knob of one method, or of every method that has it."""

    knob: str
    method: str | None = None
    domain: Domain | None = None
    """`None` if the range follows from the knob's default."""


def parse_tune(value: Any) -> tuple[TunedKnob, ...]:
    """`lr,lora.r=4|8|16,warmup=0..0.2` or a list → the knobs to search. Raises `SpecError`."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items or not all(isinstance(item, str) for item in items):
        raise SpecError(f"cannot read what to tune, {value!r}: give knobs separated by commas, such as lr,r")
    found = [_parse_item(item.strip()) for item in items]
    names = [(wanted.method, wanted.knob) for wanted in found]
    for method, knob in names:
        if names.count((method, knob)) > 1:
            raise SpecError(f"--tune names {knob!r} twice")
    return tuple(found)


def build_search_space(wanted: tuple[TunedKnob, ...], method: Method, fixed: Mapping[str, Any]) -> dict[str, Domain]:
    """Knob → domain for a method; without knobs that it does not have and those that the user has `fixed`.

    An item that names the method takes precedence over one that does not. Raises `SpecError`.
    """
    found: dict[str, Domain] = {}
    for item in sorted(wanted, key=lambda item: item.method is not None):
        settings = method.settings()
        if item.method in (None, method.name) and item.knob in settings and item.knob not in fixed:
            domain = item.domain or _derive_domain(method, item.knob, settings[item.knob])
            found[item.knob] = _check_domain(method, item.knob, domain)
    return found


def require_knobs(wanted: tuple[TunedKnob, ...], methods: Mapping[str, Method]) -> None:
    """Raise `SpecError` for an item of `--tune` that applies to no method of the run."""
    for item in wanted:
        if item.method is not None and item.method not in methods:
            raise SpecError(f"--tune {item.method}.{item.knob}: {item.method!r} is not among the methods of this run")
        able = [methods[item.method]] if item.method else list(methods.values())
        knobs = {knob for method in able for knob in method.settings()}
        if item.knob not in knobs:
            reason = f"{item.method} has no such knob" if item.method else "no method of this run has such a knob"
            raise SpecError(f"--tune {item.knob}: {reason}{suggest_names(item.knob, knobs)}")


def _parse_item(item: str) -> TunedKnob:
    name, equals, values = item.partition("=")
    method, dot, knob = name.strip().rpartition(".")
    if not knob or (dot and not method) or (equals and not values.strip()):
        raise SpecError(f"cannot read {item!r} in --tune: write KNOB, METHOD.KNOB, KNOB=LOW..HIGH or KNOB=A|B|C")
    return TunedKnob(ALIASES.get(knob, knob), method or None, _parse_domain(item, values.strip()) if equals else None)


def _parse_domain(item: str, text: str) -> Domain:
    if ".." not in text:
        choices = tuple(_parse_scalar(choice.strip()) for choice in text.split("|"))
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


def _parse_scalar(text: str) -> Any:
    """A choice as a number or a boolean, if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def _derive_domain(method: Method, knob: str, default: Any) -> Domain:
    """The domain that follows from a knob's default and its type."""
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


def _check_domain(method: Method, knob: str, domain: Domain) -> Domain:
    """Check that the method accepts the ends or choices of the domain; make it whole if the knob is an integer."""
    hint = get_type_hints(type(method.config))[knob]
    if hint is int and not domain.choices:
        domain = Domain(low=math.ceil(domain.low), high=math.floor(domain.high), log=domain.log, whole=True)
        if domain.low >= domain.high:
            raise SpecError(f"--tune {knob}: the range contains fewer than two whole numbers")
    for value in domain.choices or (domain.low, domain.high):
        try:
            registry.build(method.name, {**method.settings(), knob: value})
        except MethodError as error:
            raise SpecError(f"--tune {knob}: {error}") from error
    return domain

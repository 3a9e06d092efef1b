"""Variants: methods with the knobs that the user changed, one row of the leaderboard each; and grids of variants.

    lora   lora[r=64,alpha=16]          a name, with knobs in brackets
    lora[r=4|16|64]                     a grid: one variant for each value
    lora[r=4|16,alpha=8|32]             a grid of all combinations; the last knob changes fastest
    rlhf[start=lora[r=4|8]]             the same as rlhf[start=lora[r=4]|lora[r=8]]

YAML also takes `{lora: {r: [4, 16, 64]}}` and `{lora: [{r: 4}, {r: 64}], full: }`. There a list of values is a grid,
and a text is always one value.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SpecError
from harness.names import SCALAR, read_name, split_outside_brackets
from methods import registry
from methods.errors import InvalidSettingError

MOST_VARIANTS = 1_000
"""Limit on the variants of one run; more are almost certainly a mistake in a grid."""
MOST_NESTED = 8
"""Limit on variants inside the brackets of variants."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A method with the knobs that the user changed; one row of the leaderboard."""

    method: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)
    """The knobs that a search has chosen, with their values."""

    @property
    def name(self) -> str:
        """`lora`, or `lora[r=64]` with the changed knobs in alphabetical order; a tuned knob has the value `tuned`."""
        return format_variant(self.method, {**self.changed, **dict.fromkeys(self.tuned, "tuned")})


def format_variant(method: str, knobs: Mapping[str, Any]) -> str:
    """The name of a variant. Numbers are written as short as possible, but different numbers never look the same."""
    inside = ",".join(f"{knob}={format_knob(value)}" for knob, value in sorted(knobs.items()))
    return f"{method}[{inside}]" if inside else method


def format_knob(value: Any) -> str:
    """A knob's value as the user would type it; a number as short as possible without losing digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    return str(value)


def parse_variants(value: Any, changes: Mapping[str, Mapping[str, Any]]) -> tuple[Variant, ...]:
    """`lora,prefix[virtual_tokens=10]`, a list or a mapping → variants with `changes` applied, knobs checked and typed.

    A knob in brackets overrides one in `changes`. Raises `SpecError` or `MethodError` for unknown methods and
    knobs, for a variant that is named twice, and for grids of more than `MOST_VARIANTS` variants.
    """
    given = list(itertools.islice(_read_methods(value), MOST_VARIANTS + 1))
    if len(given) > MOST_VARIANTS:
        raise _make_size_error("the methods stand")
    variants = [_build_variant(method, knobs, changes, ()) for method, knobs in given]
    for method in changes:
        registry.get(method)  # raises for an unknown name
        if method not in {variant.method for variant in variants}:
            raise SpecError(f"a setting is given for {method!r}, which is not among the methods of this run")
    for name, count in Counter(variant.name for variant in variants).items():
        if count > 1:
            raise SpecError(f"the variant {name!r} is named twice")
    return tuple(variants)


def _build_variant(
    method: str, own: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]], waiting: Sequence[str]
) -> Variant:
    """A variant with its values converted to their types. A variant that it starts from gets its full name."""
    given = {**changes.get(method, {}), **own}
    try:
        built = registry.build(method, given)
    except InvalidSettingError as error:
        if any(isinstance(setting, str) and "|" in setting for setting in given.values()):
            raise InvalidSettingError(f"{error}; give a grid in --methods, as {method}[knob=1|2]") from error
        raise
    if built.role == "base":
        raise SpecError("the base model is evaluated in every run; leave it out of the methods")
    settings = built.settings()
    variant = Variant(method=method, changed={knob: settings[knob] for knob in sorted(given)})
    start = built.starts_from
    if start is None:
        return variant
    if start in waiting:
        raise SpecError(f"{' starts from '.join((*waiting, start))}: no variant can start from itself")
    if len(waiting) > MOST_NESTED:
        raise _make_depth_error()
    name = _build_variant(*read_name(start, "method"), changes, (*waiting, start)).name
    for knob in [knob for knob, setting in variant.changed.items() if setting == start]:
        renamed = {**variant.changed, knob: name}
        if (
            registry.build(method, renamed).starts_from == name
        ):  # this knob names the start, and is not another knob of the same text
            return Variant(method=method, changed=renamed)
    return variant


def _read_methods(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Method and knobs, as they were given, of all variants that the value stands for."""
    items = split_outside_brackets(value) if isinstance(value, str) else value
    for item in [items] if isinstance(items, Mapping) else items if isinstance(items, list | tuple) else [None]:
        if isinstance(item, str):
            yield from _expand_text(item.strip(), 0)
        elif isinstance(item, Mapping) and item:
            for method, given in item.items():
                yield from _expand_mapping(method, given)
        else:
            raise SpecError(
                f"cannot read the methods {value!r}: give names separated by commas, such as lora,qlora, or a list of "
                "names and of mappings such as {lora: {r: [4, 16]}}"
            )


def _expand_text(item: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Expand `NAME[knob=a|b,…]` to its variants."""
    if depth > MOST_NESTED:
        raise _make_depth_error()
    method, knobs = read_name(item, "method")
    choices = {}
    for knob, text in knobs.items():
        values = [value.strip() for value in split_outside_brackets(text, "|")]
        if len(values) > 1 and not all(values):
            raise SpecError(f"a value is missing beside a | in {item!r}: write {knob}=A|B")
        choices[knob] = [each for value in values for each in _expand_value(value, depth + 1)]
    return _expand_grid(method, choices)


def _expand_value(value: str, depth: int) -> Iterator[str]:
    """The value, or the variants that it stands for if it is a variant with a grid of its own."""
    if "|" not in value:
        return iter([value])
    inner = itertools.islice(_expand_text(value, depth), MOST_VARIANTS + 1)
    return (f"{method}[{','.join(f'{knob}={text}' for knob, text in knobs.items())}]" for method, knobs in inner)


def _expand_mapping(method: Any, given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Expand `NAME: {knob: value, knob: [values]}`, or a list of such mappings, to its variants."""
    for each in given if isinstance(given, list) and given else [given]:
        knobs = {} if each is None else each
        if not isinstance(method, str) or not isinstance(knobs, Mapping):
            raise SpecError(f"cannot read the method {method!r}: give it a mapping of knobs, such as {{r: [4, 16]}}")
        choices = {str(knob): value if isinstance(value, list) else [value] for knob, value in knobs.items()}
        for knob, values in choices.items():
            if not values or not all(isinstance(value, SCALAR) for value in values):
                raise SpecError(f"cannot read {method}.{knob}: give it a value, or a list of values for a grid")
        yield from _expand_grid(method, choices)


def _expand_grid(method: str, choices: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All combinations of one value for each knob."""
    if math.prod(map(len, choices.values())) > MOST_VARIANTS:
        raise _make_size_error(f"the grid of {method} stands")
    return ((method, dict(zip(choices, values, strict=True))) for values in itertools.product(*choices.values()))


def _make_size_error(what: str) -> SpecError:
    return SpecError(f"{what} for more than {MOST_VARIANTS:,} variants; give fewer values, or search knobs with --tune")


def _make_depth_error() -> SpecError:
    return SpecError(f"more than {MOST_NESTED} variants are nested in each other's brackets; leave some out")

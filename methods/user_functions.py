"""Calls of functions that users give: for every sample one checked value, or the reason and the sample at fault.

A function of this kind takes columns (all prompts, all responses, …) and returns a sequence with one item a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

from methods.errors import describe_error_with_type, is_want_of_memory

SHOWN = 80
"""Characters of a text that an error quotes."""

T = TypeVar("T")


class FaultError(Exception):
    """What a function did wrong, and to which sample; `index` is None where no sample causes it alone."""

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.index = index


def call(function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]) -> list[T]:
    """One value for each sample. `read` makes it from what the function returned, and raises `FaultError` if it can't.

    Raises `FaultError`; the sample that causes it is looked for by giving the function one at a time. Want of memory
    passes through as it is.
    """
    if not samples:
        return []
    try:
        return _together(function, samples, read)
    except FaultError as found:
        fault = found if found.index is not None else next(_alone(function, samples, read), found)
    raise fault


def place(fault: FaultError, kind: str, samples: Sequence[tuple[Any, ...]], titles: Sequence[str]) -> str:
    """Where it happened: `for sample 2 of 3: prompt '…', response '…'`; titles name a sample's first texts."""
    if fault.index is None:
        return f"for {len(samples)} {kind}s together, though for none of them alone"
    texts = zip(titles, samples[fault.index], strict=False)
    shown = ", ".join(f"{title} {_short(text)!r}" for title, text in texts)
    return f"for {kind} {fault.index + 1} of {len(samples)}: {shown}"


def number(value: Any) -> float:
    """A finite number of whatever type. Raises `FaultError`."""
    if isinstance(value, str | bytes):  # which float() would read
        raise FaultError(f"returned {kind_of(value)} instead of a number")
    try:
        found = float(value)
    except Exception as error:  # a tensor of several numbers, or whatever else a function may return
        raise FaultError(f"returned {kind_of(value)} instead of a number") from error
    if not math.isfinite(found):
        raise FaultError(f"returned {found}")
    return found


def items(found: Any, count: int) -> list[Any]:
    """What a function returned, as a list of so many. Raises `FaultError` for what has no order or another length."""
    if isinstance(found, str | bytes | Mapping | Set) or not isinstance(found, Iterable):
        raise FaultError(f"returned {kind_of(found)} instead of a sequence of numbers")
    values = list(found)
    if len(values) != count:
        raise FaultError(f"returned {len(values)} numbers instead of {count}")
    return values


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _together(function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]) -> list[T]:
    columns = (list(part) for part in zip(*samples, strict=True))
    index = 0 if len(samples) == 1 else None
    try:
        values = items(function(*columns), len(samples))
    except FaultError as fault:
        raise FaultError(str(fault), index) from fault.__cause__
    except (Exception, SystemExit) as error:
        if is_want_of_memory(error):
            raise  # the machine's fault, and an ending of its own
        raise FaultError(f"raised {describe_error_with_type(error)}", index) from error
    made = []
    for index, value in enumerate(values):
        try:
            made.append(read(value))
        except FaultError as fault:
            raise FaultError(str(fault), index) from fault.__cause__
    return made


def _alone(
    function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]
) -> Iterator[FaultError]:
    """The faults of samples that are given alone."""
    for index, sample in enumerate(samples):
        try:
            _together(function, [sample], read)
        except FaultError as fault:
            fault.index = index
            yield fault


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"

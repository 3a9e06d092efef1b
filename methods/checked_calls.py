"""Calls functions that users give, such as rewards and metrics, and checks what they return for every sample.

Such a function takes columns (all prompts, all responses, …) and returns a sequence with one item per sample. If it
fails, the error names the reason and the sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

from methods.errors import describe_error_with_type, is_out_of_memory

MOST_CHARACTERS = 80
"""Maximum length of a text that an error quotes."""

T = TypeVar("T")


class FaultError(Exception):
    """What a function did wrong, and for which sample. `index` is None if no single sample causes it."""

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.index = index


def call_checked(function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]) -> list[T]:
    """Call the function and return one value per sample, converted by `read`, which raises `FaultError` if it cannot.

    Raises `FaultError`; to find the sample that causes it, the function is called again with one sample at a time.
    Out-of-memory errors are raised unchanged.
    """
    if not samples:
        return []
    try:
        return _call_together(function, samples, read)
    except FaultError as found:
        fault = found if found.index is not None else next(_find_faults(function, samples, read), found)
    raise fault


def describe_place(fault: FaultError, kind: str, samples: Sequence[tuple[Any, ...]], titles: Sequence[str]) -> str:
    """Say which sample failed: `for sample 2 of 3: prompt '…', response '…'`. `titles` name a sample's first texts."""
    if fault.index is None:
        return f"for {len(samples)} {kind}s together, though for none of them alone"
    texts = zip(titles, samples[fault.index], strict=False)
    shown = ", ".join(f"{title} {_shorten(text)!r}" for title, text in texts)
    return f"for {kind} {fault.index + 1} of {len(samples)}: {shown}"


def read_number(value: Any) -> float:
    """Convert a value of any numeric type to a finite float. Raises `FaultError`."""
    if isinstance(value, str | bytes):  # float() would parse it
        raise FaultError(f"returned {describe_type(value)} instead of a number")
    try:
        found = float(value)
    except Exception as error:  # a tensor of several numbers, or whatever else a function may return
        raise FaultError(f"returned {describe_type(value)} instead of a number") from error
    if not math.isfinite(found):
        raise FaultError(f"returned {found}")
    return found


def read_items(found: Any, count: int) -> list[Any]:
    """Convert what a function returned to a list of `count` items. Raises `FaultError` if it has no order or another
    length."""
    if isinstance(found, str | bytes | Mapping | Set) or not isinstance(found, Iterable):
        raise FaultError(f"returned {describe_type(found)} instead of a sequence of numbers")
    values = list(found)
    if len(values) != count:
        raise FaultError(f"returned {len(values)} numbers instead of {count}")
    return values


def describe_type(value: Any) -> str:
    """Describe the type of a value in words."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _call_together(
    function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]
) -> list[T]:
    columns = (list(part) for part in zip(*samples, strict=True))
    index = 0 if len(samples) == 1 else None
    try:
        values = read_items(function(*columns), len(samples))
    except FaultError as fault:
        raise FaultError(str(fault), index) from fault.__cause__
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise  # not the function's fault; the trial ends as out of memory
        raise FaultError(f"raised {describe_error_with_type(error)}", index) from error
    made = []
    for index, value in enumerate(values):
        try:
            made.append(read(value))
        except FaultError as fault:
            raise FaultError(str(fault), index) from fault.__cause__
    return made


def _find_faults(
    function: Callable[..., Any], samples: Sequence[tuple[Any, ...]], read: Callable[[Any], T]
) -> Iterator[FaultError]:
    """Yield the faults that the function has with single samples."""
    for index, sample in enumerate(samples):
        try:
            _call_together(function, [sample], read)
        except FaultError as fault:
            fault.index = index
            yield fault


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"

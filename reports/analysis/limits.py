"""Limits that a method must keep, such as `--max-memory 8GiB`: how they are written, and by how much a row fails."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from reports.analysis.tables import Row
from reports.errors import LimitError
from reports.format import format_value
from reports.records.metrics import METRICS

RESIDENT = ("peak_device_reserved_bytes", "peak_host_bytes")
"""What a machine must have for a method to run: the first that every row has. Where there is an accelerator it is what
PyTorch's allocator took of it, which was enough for certain, else all that the worker held."""

_SIZES: dict[str, int] = {
    "B": 1,
    **{f"{p}B": 1000**n for n, p in enumerate("KMGT", 1)},
    **{f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)},
}
_TIMES = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_NUMBER = r"(\d+(?:\.\d+)?)"
_SIZE = re.compile(rf"{_NUMBER}\s*({'|'.join(_SIZES)})", re.IGNORECASE)
_TIME = re.compile(rf"{_NUMBER}\s*({'|'.join(_TIMES)})")
_WHOLE_TIME = re.compile(rf"(?:{_TIME.pattern}\s*)+")
_EACH = ("bytes", "s", "J", "money")
"""Units of what must be within the limit with every seed; of all else the mean counts."""


@dataclass(frozen=True)
class Limit:
    """One limit."""

    flag: str
    """As the user wrote it."""
    side: Literal["min", "max"]
    bound: float
    metrics: tuple[str, ...]
    """What it is about: the first of these that every row with a result has, or else the last."""

    def metric(self, rows: Sequence[Row]) -> str:
        """The metric by which these rows are judged."""
        done = [row for row in rows if row.ok]
        return next((m for m in self.metrics if all(row.mean(m) is not None for row in done)), self.metrics[-1])


@dataclass(frozen=True)
class Miss:
    """A limit that a row does not keep."""

    text: str
    share: float
    """How far off, as a share of the bound; infinite where nothing was measured."""


def parse_limit(flag: str, side: Literal["min", "max"], metrics: Sequence[str], text: str) -> Limit:
    """The limit that `text` gives to these metrics of one unit. Raises `LimitError`."""
    unit = METRICS[metrics[0]].unit
    read: Callable[[str], float] = {"bytes": parse_size, "s": parse_seconds}.get(unit, parse_number)
    try:
        return Limit(f"{flag} {text}", side, read(text.strip()), tuple(metrics))
    except ValueError as error:
        raise LimitError(f"{flag} {text!r}: {error}") from error


def parse_size(text: str) -> float:
    """Bytes of `8GiB` or `500MB`. Raises `ValueError`."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("not a size; write a number and its unit, such as 8GiB (1024³ bytes) or 500MB (1000² bytes)")
    return float(found[1]) * next(factor for unit, factor in _SIZES.items() if unit.lower() == found[2].lower())


def parse_seconds(text: str) -> float:
    """Seconds of `90s`, `30min` or `1h30min`. Raises `ValueError`."""
    if not _WHOLE_TIME.fullmatch(text):
        raise ValueError("not a time; write a number and its unit, such as 90s, 30min or 1h30min")
    return sum(float(amount) * _TIMES[unit] for amount, unit in _TIME.findall(text))


def parse_number(text: str) -> float:
    """A finite number. Raises `ValueError`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value


def find_judged_value(row: Row, metric: str) -> float | None:
    """What is held against a limit: the worst seed of a cost, the mean of anything else; `None` if not measured."""
    values = row.values(metric)
    if METRICS[metric].unit not in _EACH or not values:
        return row.mean(metric)
    return max(values) if METRICS[metric].direction == "lower" else min(values)


def find_miss(row: Row, limit: Limit, metric: str) -> Miss | None:
    """By how much a row misses a limit on this metric; `None` where it keeps it."""
    title, unit, found = METRICS[metric].title, METRICS[metric].unit, find_judged_value(row, metric)
    if found is None:
        return Miss(f"no {title} was measured, so {limit.flag} cannot be judged", math.inf)
    over = found - limit.bound if limit.side == "max" else limit.bound - found
    if over <= 0:
        return None
    amount = format_value(over, unit)
    if not any(digit in amount for digit in "123456789"):
        amount = f"{over:.1g}"
    side = "more" if limit.side == "max" else "less"
    text = f"{title} {format_value(found, unit)}, {amount} {side} than {limit.flag} allows"
    return Miss(text, over / abs(limit.bound) if limit.bound else math.inf)

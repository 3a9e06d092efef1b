"""Numbers and texts as people read them; every unit of `reports.metrics` has one form. What is missing is empty.

Names and messages come from users, data and libraries, and may hold characters that deceive.
"""

from __future__ import annotations

import re

from reports.records.metrics import Unit

_HIDDEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def format_value(value: float | None, unit: Unit) -> str:
    """The value with its unit, such as `412 MiB`, `1.96 M` or `2 min 05 s`; an empty text for `None`."""
    if value is None:
        return ""
    if unit in ("score", "nats/token"):
        return f"{value:.3f}"
    if unit == "nats":
        return _format_fixed(value, 2)
    if unit == "reward":  # of any scale: ROUGE ends at 1, a reward model's logits don't
        return _format_fixed(value, 3) if abs(value) < 100 else _format_fixed(value, 1)
    if unit == "sd":
        text = _format_fixed(value, 2)
        return text if text.startswith("-") else f"+{text}"
    if unit == "bytes":
        return _format_scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == "parameters":
        return _format_scaled(value, 1000, ("", "k", "M", "B", "T"))
    if unit == "%":
        return _format_percent(value)
    if unit == "s":
        return _format_duration(value)
    if unit in ("tokens/s", "examples/s"):
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    if unit == "J":
        return _format_scaled(value, 1000, ("J", "kJ", "MJ", "GJ"))
    if unit == "tokens":
        return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"
    return f"{value:,.2f}" if value >= 100 else f"{value:.4f}"  # money: small trials cost fractions of a cent


def format_gain(value: float | None) -> str:
    """A difference of scores with its sign."""
    return "" if value is None else f"{value:+.3f}"


def _format_fixed(value: float, digits: int) -> str:
    """So many digits, and no sign before a zero."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def _format_scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    """Three significant digits and the largest unit that keeps the number at 1 or more."""
    number, last = float(value), len(units) - 1
    for index, unit in enumerate(units):
        # 999.6 would be written as 1000: the next unit says it better
        if number < base - 0.5 or index == last:
            digits = 0 if index == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
            return f"{number:.{digits}f} {unit}".rstrip()
        number /= base
    raise AssertionError("the last unit takes any number")


def _format_percent(value: float) -> str:
    if value == 0 or value >= 99.95:
        return f"{value:.0f}"
    if value < 0.1:
        return f"{value:.2g}"  # an adapter of a large model is a small share, but not none
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _format_duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def replace_hidden(text: str) -> str:
    """The text with `�` for what terminals obey, XML refuses, or turns the direction of what stands around it."""
    return _HIDDEN.sub("�", text)

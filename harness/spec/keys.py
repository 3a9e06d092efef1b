"""The keys of a spec file, in every spelling: those of the request, and the names of the flags that set them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import SpecError
from harness.request import format_flag
from methods.errors import suggest_names


def list_spellings(keys: Iterable[str]) -> dict[str, str]:
    """Every spelling of a key → the key: its own and its flag's, each with underscores or hyphens."""
    return {
        spelling: key
        for key in sorted(keys)
        for name in (key, format_flag(key).removeprefix("--"))
        for spelling in (name.replace("-", "_"), name.replace("_", "-"))
    }


def read_keys(given: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The same values under the request's own keys.

    Raises `SpecError` for a name that is no key, with the nearest ones, and for two spellings of a key whose values
    differ.
    """
    spellings, read, written = list_spellings(keys), dict[str, Any](), dict[str, str]()
    for name, value in given.items():
        spelling = str(name).removeprefix("--")
        if spelling not in spellings:
            raise SpecError(f"unknown key {name!r} in the request{suggest_names(spelling, spellings)}")
        key = spellings[spelling]
        if key in read and read[key] != value:
            raise SpecError(f"{written[key]} and {name} are the same key, and have different values; leave one out")
        read[key], written[key] = value, str(name)
    return read

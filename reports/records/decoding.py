"""Decodes parsed JSON into frozen dataclasses: their annotations are the schema, and pydantic checks them.

A dataclass is a JSON object, a tuple is a list, and a field that the class does not have is refused. Numbers are
annotated as `Whole` or `Number`, because pydantic would take "5" or `true` for an `int`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from reports.errors import RecordError

T = TypeVar("T")


class _Exact:
    """Tells pydantic to take a value of the annotated type as it is, or to refuse it."""

    def __get_pydantic_core_schema__(self, kind: type, handler: Any) -> dict[str, Any]:
        if kind is not float:
            return {**handler(kind), "strict": True}
        whole = {"type": "int", "strict": True, "le": _LARGEST, "ge": -_LARGEST}
        broken = {"type": "float", "strict": True, "allow_inf_nan": False}
        # A choice of two: an int that became a float would not be the same text when the record is written again.
        told = {"custom_error_type": "number", "custom_error_message": "must be a finite number"}
        return {"type": "union", "choices": [whole, broken], **told}


_LARGEST = 10**300
"""About what a float can hold; JSON's integers have no end."""
_EXACT = _Exact()

Text = Annotated[str, _EXACT]
"""A str, where the value need not come from JSON: pydantic would take bytes, too."""
Whole = Annotated[int, _EXACT]
"""An int; `true` is none."""
Number = Annotated[float, _EXACT]
"""A finite float, or an int, which stays one; `true` is neither."""


def decode(cls: type[T], data: Any, where: str = "", *, ignore_unknown: bool = False) -> T:
    """The object of a dataclass that parsed JSON describes.

    Raises `RecordError` with a sentence on the first field that is missing, unknown or of another kind; the field's
    path begins with `where`.
    """
    from pydantic import ValidationError

    try:
        decoded: list[T] = _adapter(cast(Any, cls), ignore_unknown=ignore_unknown).validate_python([data])
    except ValidationError as error:
        raise RecordError(_describe(error.errors(include_url=False)[0], where)) from error
    return decoded[0]


@functools.cache
def _adapter(cls: Any, *, ignore_unknown: bool) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(extra="ignore" if ignore_unknown else "forbid")
    # A list of one, because pydantic takes a configuration for dataclasses inside of others, but for none alone.
    return TypeAdapter(list[cls], config=config)


_WORDS = {"missing": "is missing", "unexpected_keyword_argument": "is unknown"}


def _describe(error: Mapping[str, Any], where: str) -> str:
    path = where
    for part in error["loc"][1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return f"{path or 'the whole'} {_WORDS.get(error['type'], 'has a value of the wrong kind')}"

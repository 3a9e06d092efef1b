"""Data frames as CSV: raw numbers, empty where nothing was measured, safe to open in a spreadsheet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

_FORMULA = re.compile(
    r"[\t\r\n]|[\s\0-\x20\x7f-\xa0\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫−]"
)
"""Some spreadsheets would run a text cell that begins so as a formula; invisible characters may come first."""
_LINE_END = re.compile(r"\r\n?")


def render_csv(frame: DataFrame) -> str:
    """The frame without its index; texts are made safe to open in a spreadsheet, those of its head too."""
    import pandas as pd

    # Everything stays an object: pandas' own texts must be valid UTF-8.
    cells = {}
    for number, name in enumerate(frame.columns):
        column = zip(frame[name].array, frame[name].isna(), strict=True)
        safe = ["" if missing else _make_safe(value) for value, missing in column]
        cells[number] = pd.Series(safe, dtype="object")
    head = [_make_safe(name) for name in frame.columns]
    return pd.DataFrame(cells).to_csv(header=head, index=False, lineterminator="\n")


def _make_safe(value: Any) -> Any:
    """The value as it stands in a cell: lists and mappings as JSON, and no text that a spreadsheet would run."""
    if isinstance(value, list | tuple | Mapping):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    text = f"'{value}" if _FORMULA.match(value) else value
    return _LINE_END.sub("\n", text)  # the csv module does not quote a bare carriage return, which ends a row too

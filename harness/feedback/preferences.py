"""Pairs to learn from: of two responses to a prompt, the one that people preferred. From a file or the hub.

Two forms are read: the fields `prompt`, `chosen` and `rejected`; or `chosen` and `rejected` alone, two transcripts in
the form of HH-RLHF (Bai et al. 2022) whose common beginning is the prompt. A field may also hold a list of messages
with `role` and `content`. A row that holds no usable pair, or whose prompt is a test input of the task, is left out,
counted and listed; past 1% of the rows the user has to allow it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from harness.errors import DataError
from harness.tasks.base import Task, compute_fingerprint
from harness.tasks.checks import MAX_FIELDS, TOLERATED, Checked, Located, list_first, normalise_space
from harness.tasks.reading import Row, Table, describe_kind, read_file_or_hub
from harness.tasks.splits import split
from methods.errors import suggest_names
from methods.feedback import Preference
from methods.types import Example
from reports.records.details import PairsOrigin

FIELDS = ("prompt", "chosen", "rejected")
TURN = "\n\nAssistant:"
"""Ends the prompt of a transcript."""
MOST_HELD_OUT = 200
"""Upper bound of the pairs that are held out, which are a tenth."""
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_SPEAKERS = {"user": "Human", "assistant": "Assistant"}


@dataclass(frozen=True)
class Preferences:
    """Usable pairs in two parts that share no prompt, and what became of the other rows."""

    name: str
    """File name without directory, or hub id: it goes into records."""
    train: tuple[Preference, ...]
    heldout: tuple[Preference, ...]
    fingerprint: str
    """SHA-256 over every pair of both parts, in order; 64 hex digits."""
    note: str
    """What a reader of results must know: the split made, rows left out. Never a path."""
    left_out: tuple[str, ...] = ()
    """Each row that was left out: file name, line and reason."""

    def describe(self) -> PairsOrigin:
        """What a record keeps of them."""
        return PairsOrigin(
            name=self.name,
            fingerprint=self.fingerprint,
            pairs={"train": len(self.train), "heldout": len(self.heldout)},
            unusable=len(self.left_out),
            note=self.note,
        )


def load_preferences(source: str, task: Task, *, seed: int = 0, allow_unusable: bool = False) -> Preferences:
    """Read pairs from a file or a hub id (`ORG/NAME[@REVISION]`), check them and hold a tenth of them out by prompt.

    Raises `DataError` with one sentence for a source, a field or a share of rows that cannot be used.
    """
    table = read_file_or_hub(source, flag="--preferences", what="preferences")
    checked = _check_pairs(table, {normalise_space(example.input) for example in task.test}, allow_unusable)
    train, heldout = split(checked, "preference", seed, MOST_HELD_OUT, merge=False)
    # One prompt may have more pairs than are to be held out; the rest of them cannot be trained on either.
    parts = {"train": train.rows, "heldout": heldout.rows[:MOST_HELD_OUT]}
    examples = {name: [row.example for row in rows] for name, rows in parts.items()}
    count, held = (len(examples[name]) for name in ("train", "heldout"))
    note = f"{count} pairs of {table.name} to learn from and {held} held out by prompt (seed {seed})"
    if checked.left_out:
        note += f"; {len(checked.left_out)} rows left out ({list_first(checked.left_out)})"
    return Preferences(
        name=table.name,
        train=tuple(map(_make_preference, examples["train"])),
        heldout=tuple(map(_make_preference, examples["heldout"])),
        fingerprint=compute_fingerprint(examples),
        note=note,
        left_out=checked.left_out,
    )


def _make_preference(example: Example) -> Preference:
    chosen, rejected = example.references
    return Preference(example.id, example.input, chosen, rejected)


def _check_pairs(table: Table, test_inputs: set[str], allow_unusable: bool) -> Checked:
    """The pairs of a table, as examples with chosen and rejected for references. Raises `DataError`."""
    if absent := next((name for name in FIELDS[1:] if name not in table.fields), None):
        raise _make_missing_field_error(table, absent)
    rows: list[Located] = []
    left_out: list[str] = []
    leaking = 0
    for row in table.rows:
        pair = _read_pair(row, "prompt" in table.fields)
        if isinstance(pair, Example) and _contains_input(pair.input, test_inputs):
            leaking += 1
            pair = "its prompt is a test input of the task"
        if isinstance(pair, Example):
            rows.append(Located(pair, table.name, row.place))
        else:
            left_out.append(f"{table.name} {row.place}: {pair}")
    if not rows and not leaking and "prompt" not in table.fields:
        raise _make_missing_field_error(table, "prompt", f", and its rows are not transcripts ({list_first(left_out)})")
    count, total = len(left_out), len(table.rows)
    if not rows or (count > TOLERATED * total and not allow_unusable):
        remedy = "correct them" + (", or leave them out with --allow-unusable" if rows else "")
        share = f"{count} of {total} pairs ({count / total:.1%})"
        raise DataError(f"{table.origin}: {share} cannot be used ({list_first(left_out)}); {remedy}")
    return Checked(table.origin, table.name, tuple(rows), tuple(left_out))


def _make_missing_field_error(table: Table, field: str, more: str = "") -> DataError:
    there = [repr(name) for name in table.fields[:MAX_FIELDS]] or ["none"]
    hint = suggest_names(repr(field), there)
    return DataError(f"{table.origin}: no field {field!r}{hint}{more}; a pair has prompt, chosen and rejected")


def _read_pair(row: Row, has_prompt: bool) -> Example | str:
    """The pair in a row, or the reason why there is none."""
    wanted = FIELDS if has_prompt else FIELDS[1:]
    if absent := [field for field in wanted if field not in row.fields]:
        return f"no field {' and '.join(map(repr, absent))}"
    values = {field: row.fields[field] for field in wanted}
    chosen, rejected = values["chosen"], values["rejected"]
    if isinstance(chosen, list) and isinstance(rejected, list) and (not has_prompt or _share_opening(chosen, rejected)):
        values = _split_messages(chosen, rejected)
    texts: dict[str, str] = {}
    for field, value in values.items():
        text = _read_text(value)
        if text is None:
            return f"{field!r} holds {describe_kind(value)}, neither text nor messages with role and content"
        if _HALF_PAIR.search(text):
            return f"{field!r} holds half of a surrogate pair, which is not a character"
        texts[field] = text
    if "prompt" not in texts:
        if blank := [field for field, text in texts.items() if not text.strip()]:
            return f"empty {' and '.join(map(repr, blank))}"
        texts = _split_transcripts(texts["chosen"], texts["rejected"])
        if not texts["prompt"].removesuffix(TURN).strip():
            return f"chosen and rejected have no common beginning that ends in {TURN.strip()!r}"
    if blank := [field for field in FIELDS if not texts[field].strip()]:
        return f"empty {' and '.join(map(repr, blank))}"
    if normalise_space(texts["chosen"]) == normalise_space(texts["rejected"]):
        return "chosen and rejected are equal"
    return Example(row.place, texts["prompt"], (texts["chosen"], texts["rejected"]))


def _split_transcripts(chosen: str, rejected: str) -> dict[str, str]:
    """Two transcripts as prompt and responses: they part after the last `TURN` of their common beginning."""
    end, found = 0, chosen.find(TURN)
    while found >= 0 and rejected.startswith(chosen[: found + len(TURN)]):
        end = found + len(TURN)
        found = chosen.find(TURN, end)
    return {"prompt": chosen[:end], "chosen": chosen[end:].strip(), "rejected": rejected[end:].strip()}


def _share_opening(chosen: list[Any], rejected: list[Any]) -> bool:
    """Whether both begin with one message that is no assistant's, so that they repeat the prompt."""
    opening = chosen[:1]
    return opening == rejected[:1] and any(_is_message(item) and item["role"] != "assistant" for item in opening)


def _split_messages(chosen: list[Any], rejected: list[Any]) -> dict[str, list[Any]]:
    """Two lists of messages as prompt and responses: they part after the messages that begin both."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen[:-1], rejected[:-1], strict=False)))
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _read_text(value: Any) -> str | None:
    """What a field says: text as it is, one message by its content, several as a transcript; None for all else."""
    if value is None or value == []:
        return ""
    if not isinstance(value, list):
        return value if isinstance(value, str) else None
    if not all(_is_message(item) for item in value):
        return None
    if len(value) == 1:
        return str(value[0]["content"])
    turns = [f"\n\n{_SPEAKERS.get(item['role'], item['role'])}: {item['content']}" for item in value]
    return "".join([*turns, TURN if value[-1]["role"] != "assistant" else ""])


def _is_message(item: Any) -> bool:
    return isinstance(item, Mapping) and all(isinstance(item.get(name), str) for name in ("role", "content"))


def _contains_input(prompt: str, inputs: set[str]) -> bool:
    """Whether the prompt, or a turn of it, is one of these inputs."""
    return any(normalise_space(part) in inputs for part in (prompt, *re.split(r"\n\n(?:Human|Assistant):", prompt)))

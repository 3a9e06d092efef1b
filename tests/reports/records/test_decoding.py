"""One decoder for records, outcomes and events: a value is of the declared kind, or the sentence names its field."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from harness.outcome import Outcome
from reports.errors import RecordError
from reports.records.decoding import Number, Text, Whole, decode
from reports.records.record import Environment, ModelInfo, Phase, Record, TaskInfo

ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    size: Number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    count: Whole = 0
    title: Text = ""
    parts: tuple[Part, ...] = ()
    rows: tuple[Mapping[str, Number | None], ...] = ()
    free: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def test_what_is_decoded_is_written_again_to_the_letter():
    text = '{"count": 3, "free": {"a": [1, {"b": [2.0]}]}, "parts": [{"size": 7}, {"size": 7.0}], ' + (
        '"rows": [{"loss": 1, "tokens": null}], "title": "\\ud800 half of a name"}'
    )
    made = decode(Box, json.loads(text))
    assert made.parts == (Part(size=7), Part(size=7.0))
    assert made.free == {"a": [1, {"b": [2.0]}]}
    assert json.dumps(dataclasses.asdict(made), sort_keys=True) == text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"count": True}, "x.count has a value of the wrong kind"),
        ({"count": 1.0}, "x.count has a value of the wrong kind"),
        ({"count": "1"}, "x.count has a value of the wrong kind"),
        ({"title": b"bytes"}, "x.title has a value of the wrong kind"),
        ({"parts": [{"size": 1}, {"size": False}]}, "x.parts[1].size has a value of the wrong kind"),
        ({"parts": [{"size": "1"}]}, "x.parts[0].size has a value of the wrong kind"),
        ({"parts": [{"size": float("nan")}]}, "x.parts[0].size has a value of the wrong kind"),
        ({"parts": [{"size": 10**400}]}, "x.parts[0].size has a value of the wrong kind"),
        ({"parts": [{}]}, "x.parts[0].size is missing"),
        ({"parts": {"size": 1}}, "x.parts has a value of the wrong kind"),
        ({"rows": [{"loss": float("inf")}]}, "x.rows[0].loss has a value of the wrong kind"),
        ({"other": 1}, "x.other is unknown"),
        ([], "x has a value of the wrong kind"),
    ],
)
def test_the_sentence_names_the_field(data, sentence):
    with pytest.raises(RecordError) as caught:
        decode(Box, data, "x")
    assert str(caught.value) == sentence


def inner(hint):
    """A hint and all that it is made of; what is annotated counts as one."""
    yield hint
    if get_origin(hint) is not Annotated:
        for part in get_args(hint):
            yield from inner(part)


@pytest.mark.parametrize("cls", [Record, Outcome, Phase, ModelInfo, TaskInfo, Environment])
def test_no_number_is_declared_in_a_way_that_lets_text_pass(cls):
    hints = get_type_hints(cls, include_extras=True)
    assert hints
    assert not [name for name, hint in hints.items() if {int, float, bool} & {*filter(is_type, inner(hint))}]


def is_type(hint):
    return isinstance(hint, type)


def test_nothing_is_imported_for_it_before_something_is_decoded():
    code = "import sys, harness.launchers.protocol, reports.records.store; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"

"""docs/records.md says what the classes and real run directories hold."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reports.records import describe
from reports.records.decoding import Number
from reports.records.details import Details

PAGE = Path(__file__).resolve().parents[3] / "docs" / "records.md"


def test_the_page_is_what_the_classes_say(capsys):
    describe.main()
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


def test_every_part_of_a_record_is_on_the_page():
    parts, waiting = set(), [describe.Record]
    while waiting:
        part = waiting.pop()
        parts.add(part)
        words = " ".join(map(str, describe.get_type_hints(part).values()))
        waiting += [other for other in describe.PARTS if other.__name__ in re.findall(r"\w+", words)]
        assert set(describe.read_field_docs(part)) == {field.name for field in dataclasses.fields(part)}
    assert parts == set(describe.PARTS)


def test_details_that_reports_read_are_on_the_page():
    assert {field.name for field in dataclasses.fields(Details)} <= describe.DETAILS.keys()


def test_a_field_without_a_meaning_is_refused():
    @dataclass
    class Silent:
        told: str
        """Something."""
        silent: str

    assert describe.read_field_docs(Silent) == {"told": "Something."}
    with pytest.raises(ValueError, match=r"Silent\.silent"):
        list(describe._list_fields(Silent))


def test_types_are_described_as_people_read_them():
    assert describe.describe_type(Mapping[str, Number | None]) == "object of (number or null)"
    assert describe.describe_type(tuple[str, ...]) == "list of text"
    with pytest.raises(ValueError, match="no words"):
        describe.describe_type(bytes)


def test_a_run_leaves_only_what_the_page_lists(run_here, tmp_path):
    toy = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5", "--out", "out"]
    more = ["--save-models", "--keep-checkpoints", "--checkpoint-every", "steps=1", "--evaluate-every", "steps=2"]
    for rerun in ("failed", "all"):
        done = run_here(*toy, *more, "--rerun", rerun, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    found = {re.sub(r"\b[0-9a-f]{16}\b", "ID", path) for path in found}
    folders = tuple(path for path in describe.RUN_DIRECTORY if path.endswith("/"))
    assert not [path for path in found - describe.RUN_DIRECTORY.keys() if not path.startswith(folders)]
    assert {"records/ID.json", "predictions/ID.jsonl", "logs/ID.log", "superseded/ID.json", "lock"} <= found
    for path in (out / "records").glob("*.json"):
        assert json.loads(path.read_text())["details"].keys() <= describe.DETAILS.keys()

"""Whatever a record file holds, it is a record that reports can show, or it is refused; there is no third way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.errors import RecordError
from reports.leaderboard import render
from reports.records.metrics import Metric
from reports.records.record import SCHEMA_VERSION, dump, from_dict, load, redact_record

VERSIONS = Path(__file__).parents[1] / "golden" / "versions"

FOREIGN = ("x", 5, 0.5, True, None, [], [1], {}, {"x": 1})


def test_a_record_survives_json(make):
    record = make("lora[r=4]")
    assert dump(load(dump(record))) == dump(record)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_record_of_every_version_is_read(version):
    text = (VERSIONS / f"{version}.json").read_text(encoding="utf-8")
    assert json.loads(text)["schema_version"] == version
    record = load(text)
    assert (record.variant, record.status, record.training["steps"]) == ("toy", "ok", 5)
    assert record.log == (None if version < 2 else f"logs/{record.trial_id}.log")
    assert (len(record.scores.get("rougeL", ())) > 1) == (version >= 3)
    assert bool(record.scoring) == (version >= 4)
    assert json.loads(dump(record))["schema_version"] == SCHEMA_VERSION  # what is written again is of today


def paths(value, prefix=()):
    """The path of every field, those inside of others too."""
    for name, item in value.items():
        yield (*prefix, name)
        if isinstance(item, dict):
            yield from paths(item, (*prefix, name))


def test_a_foreign_value_in_any_field_is_refused_or_shown(make):
    whole = dump(make("lora"))
    others = [make("base"), make("full")]
    refused = 0
    for path in paths(json.loads(whole)):
        for value in FOREIGN:
            data = json.loads(whole)
            holder = data
            for name in path[:-1]:
                holder = holder[name]
            holder[path[-1]] = value
            try:
                record = from_dict(data)
            except RecordError:
                refused += 1
                continue
            assert render([*others, record]), (path, value)
    assert refused > 300


DECLARED = {"name": "mine", "title": "my metric", "unit": "score", "direction": "higher", "formula": "mine"}


def test_a_foreign_value_in_what_a_metric_declares_is_refused_or_shown(make):
    data = json.loads(dump(make("lora", metrics={"mine": 0.5})))
    data["declared"] = {"mine": DECLARED}
    assert "my metric" in render([from_dict(data)])["leaderboard.md"]
    assert load(dump(from_dict(data))) == from_dict(data)
    refused = 0
    for path in paths({"declared": data["declared"]}):
        for value in (*FOREIGN, "higher"):
            bad = json.loads(json.dumps(data))
            holder = bad
            for name in path[:-1]:
                holder = holder[name]
            holder[path[-1]] = value
            try:
                record = from_dict(bad)
            except RecordError:
                refused += 1
                continue
            assert render([make("base"), record]), (path, value)
    assert refused > 40


def test_a_secret_that_is_a_unit_leaves_the_record_readable(make, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "nats/token")
    record = make("lora", declared={"mine": Metric("mine", "in nats/token", "nats/token", "lower", "x")})
    assert load(dump(redact_record(record))).declared["mine"].title == "in [redacted]"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("metrics", {"rougeL": "high"}, "metrics.rougeL has a value of the wrong kind"),
        ("metrics", {"rougeL": float("inf")}, "metrics.rougeL has a value of the wrong kind"),
        ("metrics", {"rougeL": True}, "metrics.rougeL has a value of the wrong kind"),
        ("role", "winner", "role has a value of the wrong kind"),
        ("curve", [1], r"curve\[0\] has a value of the wrong kind"),
        ("phases", {"train": {}}, "phases.train.seconds is missing"),
        ("phases", {"train": {"seconds": 1, "weeks": 2}}, "phases.train.weeks is unknown"),
        ("score", 1, "score is unknown"),
    ],
)
def test_a_refusal_names_the_field(make, field, value, message):
    data = {**json.loads(dump(make("lora"))), field: value}
    with pytest.raises(RecordError, match=rf"^a\.json: .*{message}"):
        from_dict(data, "a.json")


@pytest.mark.parametrize("text", ["", "[", "[]", "null", '{"schema_version": true}', "[" * 100_000])
def test_text_that_is_no_record_is_refused(text):
    with pytest.raises(RecordError, match=r"^a\.json: "):
        load(text, "a.json")


def test_numbers_that_json_lacks_are_refused(make):
    text = dump(make("lora", metrics={"rougeL": 0.4321}))
    with pytest.raises(RecordError, match="NaN"):
        load(text.replace("0.4321", "NaN"))
    with pytest.raises(RecordError, match="wrong kind"):
        load(text.replace("0.4321", "1e999"))


def test_a_missing_field_is_named(make):
    data = json.loads(dump(make("lora")))
    del data["seed"]
    with pytest.raises(RecordError, match="seed is missing"):
        from_dict(data)

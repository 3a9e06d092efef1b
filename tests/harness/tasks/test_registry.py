"""The table of tasks and the request: cheap to import, exact about what is wrong."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from importlib import import_module

import pytest

from harness.errors import SpecError
from harness.tasks import TASKS, TaskRequest, load_task, summarise_tasks
from harness.tasks.base import compute_fingerprint
from methods.base import Example


def test_every_entry_names_a_function_and_says_what_it_is():
    for entry in TASKS.values():
        module, _, function = entry.loader.partition(":")
        assert callable(getattr(import_module(module), function))
        assert entry.summary
    assert list(summarise_tasks()) == [name for name in TASKS if name != "toy"]
    assert next(iter(TASKS)) == "embedded"  # the default comes first


def test_importing_the_table_imports_nothing_heavy():
    heavy = {"torch", "pandas", "datasets", "pyarrow", "numpy"}
    code = f"import harness.tasks, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_unknown_task_names_the_nearest():
    with pytest.raises(SpecError, match=r"unknown task 'dialogsam' \(did you mean dialogsum\?\)"):
        load_task(TaskRequest("dialogsam"))


@pytest.mark.parametrize("field", ["train_examples", "validation_examples", "test_examples"])
@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "5"])
def test_amounts_must_be_positive_whole_numbers(field, amount):
    with pytest.raises(SpecError, match="--" + field.replace("_", "-")):
        TaskRequest("toy", **{field: amount})


@pytest.mark.parametrize("template", ["", "no place", "{input} and {input}"])
def test_template_must_hold_the_input_once(template):
    with pytest.raises(SpecError, match=r"--template must contain \{input\} exactly once"):
        TaskRequest("toy", template=template)


def test_template_replaces_the_phrasings_and_other_braces_are_text():
    task = load_task(TaskRequest("toy", template="{x} {input} {}"))
    assert task.templates == ("{x} {input} {}",)


@pytest.mark.parametrize("name", ["dialogsum", "e2e", "toy"])
@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("test", "x.csv", "--test"),
        ("input_field", "x", "--input-field"),
        ("target_fields", ("x",), "--target-field"),
    ],
)
def test_flags_that_a_task_has_no_use_for_are_refused(name, field, value, flag):
    with pytest.raises(SpecError, match=f"task '{name}' takes no {flag};"):
        load_task(TaskRequest(name, **{field: value}))


@pytest.mark.parametrize(
    "request_",
    [
        TaskRequest("file"),
        TaskRequest("file", data="x.csv", input_field="a"),
        TaskRequest("file", data="x.csv", target_fields=("a",)),
        TaskRequest("file", data="x.csv", input_field="a", target_fields=("a",)),
        TaskRequest("file", data="x.csv", input_field="a", target_fields=("b", "b")),
        TaskRequest("e2e"),
    ],
)
def test_flags_that_are_missing_or_contradict_are_named(request_):
    with pytest.raises(SpecError, match=r"--data|--input-field"):
        load_task(request_)


def test_request_survives_json():
    request = TaskRequest("file", data="x.csv", input_field="a", target_fields=("b", "c"), test_examples=3)
    assert TaskRequest(**json.loads(json.dumps(dataclasses.asdict(request)))) == request


def test_toy_has_twelve_examples_and_is_the_same_every_time():
    task = load_task(TaskRequest("toy"))
    assert [len(split) for split in task.splits.values()] == [6, 2, 4]
    assert task.test[0] == Example("toy-8", "I would like some ice.", ("ice",))
    assert task == load_task(TaskRequest("toy"))
    assert task.limits.target_tokens == 8


def test_fingerprint_is_known_and_sees_every_change():
    one, two = Example("1", "a", ("x", "y")), Example("2", "b", ("z",))
    known = compute_fingerprint({"train": [one], "test": [two]})
    # sha256 of the lines ["train", "1", "a", ["x", "y"]] and ["test", "2", "b", ["z"]], by sha256sum
    assert known == "2ade619c55312524eac71c57272a98095a142f3c36d3c8fcd6741462bc48d603"
    others = [
        {"train": [two], "test": [one]},
        {"train": [one, two], "test": []},
        {"train": [dataclasses.replace(one, id="3")], "test": [two]},
        {"train": [dataclasses.replace(one, input="A")], "test": [two]},
        {"train": [dataclasses.replace(one, references=("y", "x"))], "test": [two]},
        {"train": [dataclasses.replace(one, references=("x",))], "test": [two]},
    ]
    assert len({known, *map(compute_fingerprint, others)}) == 1 + len(others)
    assert compute_fingerprint({"train": [one, two]}) != compute_fingerprint({"train": [two, one]})

"""`--help` prints the spec's keys as flags, the spec's defaults, and lines that fit a terminal."""

from __future__ import annotations

import dataclasses
import re

import pytest

from harness.cli import build_parser, main
from harness.cli.run_flags import FLAGS, GROUPS
from harness.request import TaskRequest
from harness.spec.spec import KEYS, Spec, build_spec, format_default, list_choices

COMMANDS = ("run", "list", "report", "recommend", "models", "new")


@pytest.fixture
def printed(monkeypatch, capsys):
    """A function that returns the lines of a command's help in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def printed(*command):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out.splitlines()

    return printed


def test_every_key_of_the_spec_has_one_flag():
    assert set(FLAGS) == KEYS
    assert sum(map(len, GROUPS.values())) == len(FLAGS)
    fields = {field.name for owner in (Spec, TaskRequest) for field in dataclasses.fields(owner)}
    assert set(FLAGS) - {"methods", "set", "task"} == fields - {"variants", "name", "task"}


@pytest.mark.parametrize("key", sorted(FLAGS))
def test_printed_defaults_are_those_of_the_spec(key):
    default = format_default(key)
    needs = {"methods": "lora"} | ({"evaluate_every": "steps=1"} if key == "curve_examples" else {})
    if default:
        assert f"(default {default})" in FLAGS[key].describe()
        assert not FLAGS[key].unset
        assert build_spec({**needs, key: default}) == build_spec(needs)
    elif "default" in FLAGS[key].describe():
        assert FLAGS[key].describe().endswith(f"(default {FLAGS[key].unset})")


def test_printed_choices_are_those_of_the_spec():
    assert list_choices("on_oom") == ("record", "halve-batch")
    assert list_choices("model") == list_choices("task") == list_choices("methods") == ()
    assert {key for key in FLAGS if list_choices(key)} == {key for key in FLAGS if "{choices}" in FLAGS[key].help}
    assert FLAGS["device"].describe() == "auto, cpu, cuda or mps (default auto)"


def test_the_help_of_run_has_named_groups_and_one_line_a_flag(printed):
    lines = printed("run")
    groups = [line.removesuffix(":") for line in lines if re.fullmatch(r"[a-z ]+:", line)]
    assert groups == [*GROUPS, "help", "examples"]
    assert list(GROUPS) == ["most used", "data", "model", "methods", "training", "evaluation", "run", "output"]
    told = lines[: lines.index("examples:")]
    assert max(map(len, lines)) <= 80
    flags = [line for line in told if line.startswith("  -")]
    assert len(flags) == len(FLAGS) + len(["--config", "--help", "--debug"])
    assert not [line for line in told if line.startswith("   ")]  # no text needs a second line
    assert "  --budget UNIT=N          steps, epochs, tokens, minutes (default steps=300)" in lines
    # The first screen: what most people need and nothing else.
    assert lines.index("data:") < 16


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_ends_with_examples(printed, command):
    lines = printed(command)
    assert lines[0].startswith(f"usage: python -m harness {command} ")
    assert lines[2].endswith(".")
    assert any(line.startswith(f"  python -m harness {command} ") for line in lines[lines.index("examples:") :])
    assert max(map(len, lines)) <= 80


def test_the_first_help_lists_all_commands(printed):
    lines = printed()
    assert all(any(line.startswith(f"    {command} ") for line in lines) for command in COMMANDS)
    assert max(map(len, lines)) <= 80


def test_flags_that_are_not_given_are_not_set():
    arguments = vars(build_parser().parse_args(["run", "--methods", "lora"]))
    assert {key for key in FLAGS if arguments[key] is not None} == {"methods"}

"""The flags of `run`, in the groups in which `--help` prints them. The defaults are in the spec.

A flag has the name of its key of the request, with hyphens. The spec checks every value and converts its type.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.cli.help import HelpFormatter, read_path
from harness.request import format_flag


@dataclass(frozen=True)
class Flag:
    """One flag of `run`."""

    key: str
    """Key of the request that it sets."""
    value: str
    """Placeholder for its value in the help; empty for a switch."""
    help: str
    """One line; `{choices}` is replaced by the values that the spec allows."""
    unset: str = ""
    """Description of the default, if the spec has no default value."""
    often: bool = False
    """Whether it may be repeated."""

    @property
    def name(self) -> str:
        """The flag as the user types it."""
        return format_flag(self.key)

    def add_to(self, group: Any) -> None:
        """Declare the flag. If it is not given its value is `None`, so that a YAML file or the spec decides."""
        if not self.value:
            group.add_argument(self.name, dest=self.key, action="store_const", const=True, help=self.help)
        else:
            action: Literal["append", "store"] = "append" if self.often else "store"
            group.add_argument(self.name, dest=self.key, metavar=self.value, action=action, help=self.help)

    def describe(self) -> str:
        """The help text with choices and default, both read from the spec."""
        from harness.spec.spec import format_default, list_choices

        *others, last = list_choices(self.key) or ("",)
        text = self.help.replace("{choices}", f"{', '.join(others)} or {last}")
        default = format_default(self.key) or self.unset
        return f"{text} (default {default})" if default else text


GROUPS: Mapping[str, tuple[Flag, ...]] = {
    "most used": (
        Flag("methods", "NAMES", "methods to compare: lora,qlora or lora[r=8|64]"),
        Flag("model", "MODEL", "preset, directory or ORG/NAME"),
        Flag("task", "TASK", "task to learn; see `list tasks`"),
        Flag("data", "PATH", "the task's data, a directory or a file"),
        Flag("budget", "UNIT=N", "steps, epochs, tokens, minutes"),
        Flag("seeds", "NUMBERS", "comma-separated; each seed is a trial"),
        Flag("out", "DIR", "run directory", unset="runs/MODEL-TASK"),
    ),
    "data": (
        Flag("test", "FILE", "test data of --task file", unset="a part of --data"),
        Flag("input_field", "COLUMN", "column of the input text, for --task file"),
        Flag("target_fields", "COLUMNS", "target; more columns are more references"),
        Flag("template", "TEXT", "prompt with {input}, instead of the task's"),
        Flag("train_examples", "N", "use at most N for training", unset="all"),
        Flag("validation_examples", "N", "use at most N for validation", unset="all"),
        Flag("test_examples", "N", "use at most N for testing", unset="all"),
        Flag("split_seed", "N", "seed of data splits and samples"),
        Flag("allow_unusable", "", "accept data with over 1% of unusable rows"),
    ),
    "model": (
        Flag("device", "DEVICE", "{choices}"),
        Flag("dtype", "TYPE", "{choices}"),
        Flag("input_tokens", "N", "longest prompt", unset="the task's own limit"),
        Flag("target_tokens", "N", "longest answer", unset="the task's own limit"),
        Flag("source_language", "CODE", "language of inputs", unset="the tokenizer's"),
        Flag("target_language", "CODE", "language of targets", unset="the tokenizer's"),
        Flag("trust_remote_code", "", "allow code of models and metrics from the hub"),
    ),
    "methods": (
        Flag("set", "METHOD.KNOB=VALUE", "set a knob of a method; repeatable", often=True),
        Flag("tune", "KNOBS", "knobs to search: lr or lr,lora.r=4|8|16"),
        Flag("tries", "N", "settings that each search tries"),
        Flag("preferences", "SOURCE", "preference pairs: a file or a hub id"),
        Flag("reward", "SOURCE", "rouge, MODULE:FUNCTION or a reward model"),
        Flag("plugin", "FILE", "Python file with plugins; repeatable", often=True),
    ),
    "training": (
        Flag("batch_size", "N", "examples per forward pass"),
        Flag("accumulation", "N", "forward passes per optimiser step"),
        Flag("checkpoint_every", "WHEN", "steps=N, minutes=N or never"),
    ),
    "evaluation": (
        Flag("metrics", "NAMES", "NAME, MODULE:FUNCTION, evaluate:DIR"),
        Flag("eval_batch_size", "N", "examples per batch"),
        Flag("general_text", "SOURCE", "text to measure forgetting on"),
        Flag("evaluate_every", "WHEN", "learning curve: steps=N or tokens=N", unset="never"),
        Flag("curve_examples", "N", "validation examples at each point"),
        Flag("target_quality", "SCORE", "report the time until this ROUGE-L is reached"),
    ),
    "run": (
        Flag("launcher", "NAME", "where trials run: `list launchers`"),
        Flag("trial_timeout", "SECONDS", "time limit of a trial", unset="never"),
        Flag("on_oom", "WHAT", "on OOM: {choices}"),
        Flag("rerun", "WHICH", "run again: failed, all or an id"),
        Flag("price_per_hour", "AMOUNT", "price of this machine, for the cost column"),
    ),
    "output": (
        Flag("save_models", "", "keep the model or adapter of each trial"),
        Flag("keep_checkpoints", "", "keep the last checkpoint of finished trials"),
        Flag("allow_mixed", "", "put incomparable records in one leaderboard"),
    ),
}
FLAGS: Mapping[str, Flag] = {flag.key: flag for flags in GROUPS.values() for flag in flags}
"""Every flag that sets a key of the request, by that key."""


class RunHelpFormatter(HelpFormatter):
    """Reads the defaults from the spec only when help is printed, so that other commands need not import it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        flag = FLAGS.get(action.dest)
        return flag.describe().replace("%", "%%") if flag else super()._get_help_string(action)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare all flags of `run` in their groups."""
    parser.formatter_class = RunHelpFormatter
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            flag.add_to(group)
        if title == "most used":
            told = "YAML with the flags as keys; flags override it"
            group.add_argument("--config", type=read_path, metavar="FILE", help=told)


def read_request(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Read the request as keys and values: those of the YAML file, overridden by the flags."""
    from harness.names import load_yaml, parse_changes
    from harness.spec.keys import read_keys

    request = read_keys(load_yaml(arguments.config), FLAGS) if arguments.config else {}
    changes = parse_changes(request.pop("set", {}) or {})
    given = {key: value for key in FLAGS if (value := getattr(arguments, key)) is not None}
    for method, knobs in parse_changes(given.pop("set", [])).items():
        changes.setdefault(method, {}).update(knobs)
    request.update(given)
    request["set"] = {f"{method}.{knob}": value for method, knobs in changes.items() for knob, value in knobs.items()}
    return request

"""The flags of `run` in the groups in which its help prints them. What they default to is the spec's business.

A flag is called as its key of the request, with hyphens; the spec checks and types every value.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.cli.help import HelpFormatter


@dataclass(frozen=True)
class Flag:
    """One flag of `run`."""

    key: str
    """Key of the request that it sets."""
    value: str
    """What stands for its value in the help; empty for a switch."""
    help: str
    """One line; `{choices}` stands for the values that the spec allows."""
    unset: str = ""
    """What holds where the flag is not given and the spec has no value of its own."""
    often: bool = False
    """Whether it may be given several times."""

    @property
    def name(self) -> str:
        """As it is typed."""
        return "--target-field" if self.key == "target_fields" else "--" + self.key.replace("_", "-")

    def add_to(self, group: Any) -> None:
        """Declare it; a flag that is not given is `None`, so that a YAML file or the spec decides."""
        if not self.value:
            group.add_argument(self.name, dest=self.key, action="store_const", const=True, help=self.help)
        else:
            action: Literal["append", "store"] = "append" if self.often else "store"
            group.add_argument(self.name, dest=self.key, metavar=self.value, action=action, help=self.help)

    def describe(self) -> str:
        """The help with choices and default, both read from the spec."""
        from harness.spec.spec import format_default, list_choices

        *others, last = list_choices(self.key) or ("",)
        text = self.help.replace("{choices}", f"{', '.join(others)} or {last}")
        default = format_default(self.key) or self.unset
        return f"{text} (default {default})" if default else text


GROUPS: Mapping[str, tuple[Flag, ...]] = {
    "most used": (
        Flag("methods", "NAMES", "what to compare: lora,qlora or lora[r=8|64]"),
        Flag("model", "MODEL", "preset, directory or ORG/NAME"),
        Flag("task", "TASK", "what to learn; see `list tasks`"),
        Flag("data", "PATH", "the task's data, a directory or a file"),
        Flag("budget", "UNIT=N", "also epochs, tokens, minutes"),
        Flag("seeds", "NUMBERS", "comma-separated, a trial for each"),
        Flag("out", "DIR", "run directory", unset="runs/MODEL-TASK"),
    ),
    "data": (
        Flag("test", "FILE", "test data of --task file", unset="a part of --data"),
        Flag("input_field", "COLUMN", "column of the input text, for --task file"),
        Flag("target_fields", "COLUMNS", "the target; further columns are references"),
        Flag("template", "TEXT", "prompt with {input} in place of the task's own"),
        Flag("train_examples", "N", "use at most N for training", unset="all"),
        Flag("validation_examples", "N", "use at most N for validation", unset="all"),
        Flag("test_examples", "N", "use at most N for testing", unset="all"),
        Flag("split_seed", "N", "seed of splits and samples made here"),
        Flag("allow_unusable", "", "go on although over 1% of the rows are unusable"),
    ),
    "model": (
        Flag("device", "DEVICE", "{choices}"),
        Flag("dtype", "TYPE", "{choices}"),
        Flag("input_tokens", "N", "longest prompt", unset="the task's own limit"),
        Flag("target_tokens", "N", "longest answer", unset="the task's own limit"),
        Flag("trust_remote_code", "", "run code of models and metrics from the hub"),
    ),
    "methods": (
        Flag("set", "METHOD.KNOB=VALUE", "change a knob; may be given often", often=True),
        Flag("tune", "KNOBS", "search on validation data: lr or lr,lora.r=4|8|16"),
        Flag("tries", "N", "settings that each search tries"),
        Flag("preferences", "SOURCE", "pairs to learn from, a file or a hub id"),
        Flag("reward", "SOURCE", "rouge, MODULE:FUNCTION or a reward model"),
        Flag("plugin", "FILE", "use what a Python file brings; may be given often", often=True),
    ),
    "training": (
        Flag("batch_size", "N", "examples per forward pass"),
        Flag("accumulation", "N", "forward passes per optimiser step"),
        Flag("checkpoint_every", "WHEN", "steps=N, minutes=N or never"),
    ),
    "evaluation": (
        Flag("metrics", "NAMES", "comma-separated; see `list metrics`"),
        Flag("eval_batch_size", "N", "examples per batch"),
        Flag("general_text", "SOURCE", "text for forgetting, or none"),
        Flag("evaluate_every", "WHEN", "learning curve: steps=N or tokens=N", unset="never"),
        Flag("curve_examples", "N", "validation examples at each point"),
        Flag("target_quality", "SCORE", "report the time until this ROUGE-L is reached"),
    ),
    "run": (
        Flag("launcher", "NAME", "where trials run: `list launchers`"),
        Flag("trial_timeout", "SECONDS", "end a trial after so long", unset="never"),
        Flag("on_oom", "WHAT", "no memory: {choices}"),
        Flag("rerun", "WHICH", "failed, all or a trial's id"),
        Flag("price_per_hour", "AMOUNT", "price of this machine, for the cost column"),
    ),
    "output": (
        Flag("save_models", "", "keep what each method ships"),
        Flag("keep_checkpoints", "", "keep the last checkpoint of finished trials"),
        Flag("allow_mixed", "", "one leaderboard of what cannot be compared"),
    ),
}
FLAGS: Mapping[str, Flag] = {flag.key: flag for flags in GROUPS.values() for flag in flags}
"""Every flag that sets a key of the request, by that key."""


class RunHelp(HelpFormatter):
    """Looks defaults up when help is printed: the spec is not imported for it by any other command."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        flag = FLAGS.get(action.dest)
        return flag.describe().replace("%", "%%") if flag else super()._get_help_string(action)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare all flags of `run` in their groups."""
    parser.formatter_class = RunHelp
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            flag.add_to(group)
        if title == "most used":
            group.add_argument("--config", type=Path, metavar="FILE", help="YAML with the same keys; flags override it")


def read_request(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """The request as keys and values: the YAML file's, and the flags' over them."""
    from harness.names import load_yaml, parse_changes

    request = dict(load_yaml(arguments.config)) if arguments.config else {}
    changes = parse_changes(request.pop("set", {}) or {})
    given = {key: value for key in FLAGS if (value := getattr(arguments, key)) is not None}
    for method, knobs in parse_changes(given.pop("set", [])).items():
        changes.setdefault(method, {}).update(knobs)
    request.update(given)
    request["set"] = {f"{method}.{knob}": value for method, knobs in changes.items() for knob, value in knobs.items()}
    return request

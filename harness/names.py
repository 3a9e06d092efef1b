"""Parses what users type in flags and YAML: budgets, intervals, seeds, knobs and names. Nothing is looked up here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from harness.errors import SpecError
from harness.request import format_flag
from methods.types import Budget, BudgetUnit

SCALAR = str | int | float | bool


def parse_budget(value: Any) -> Budget:
    """`steps=150` (or the mapping `{steps: 150}`) → `Budget`. Raises `SpecError`."""
    units = get_args(BudgetUnit)
    amount: Any
    if isinstance(value, str):
        unit, _, amount = value.partition("=")
    elif isinstance(value, Mapping) and len(value) == 1:
        unit, amount = next(iter(value.items()))
    else:
        unit, amount = "", ""
    if unit not in units:
        raise SpecError(f"unknown --budget {value!r}: give one of {', '.join(f'{u}=N' for u in units)}")
    try:
        number = float(amount)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf") or isinstance(amount, bool) or (unit == "steps" and number != int(number)):
        raise SpecError(f"--budget {value!r}: the amount must be a {'whole ' if unit == 'steps' else ''}number above 0")
    return Budget(cast(BudgetUnit, unit), number)


_INTERVALS: Mapping[str, tuple[BudgetUnit, BudgetUnit]] = {
    "checkpoint_every": ("steps", "minutes"),
    "evaluate_every": ("steps", "tokens"),
}


def parse_interval(name: str, value: Any) -> Budget | None:
    """`steps=100`, `minutes=10` (or a mapping) → the interval; `never` → `None`. Raises `SpecError`."""
    if value == "never":
        return None
    try:
        interval = parse_budget(value)
    except SpecError:
        interval = None
    if interval is None or interval.unit not in _INTERVALS[name]:
        units = ", ".join(f"{unit}=N" for unit in _INTERVALS[name])
        raise SpecError(f"{format_flag(name)} {value!r}: give {units} or never; N is above 0, steps are whole")
    return interval


def parse_seeds(value: Any) -> tuple[int, ...]:
    """`0,1,2`, a number or a list → distinct non-negative seeds in order. Raises `SpecError`."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    texts = [str(item).strip() for item in items]
    # str.isdecimal would also accept the digits of other scripts
    if not texts or not all(re.fullmatch(r"[0-9]{1,9}", text) for text in texts):
        raise SpecError(f"--seeds {value!r}: give whole numbers from 0, separated by commas, such as 0,1,2")
    seeds = tuple(int(text) for text in texts)
    if len(set(seeds)) < len(seeds):
        raise SpecError(f"--seeds {value!r}: the same seed is given twice")
    return seeds


def parse_metrics(value: Any) -> tuple[str, ...]:
    """`rouge,chrf` or a list → names; the planner checks that these metrics exist. Raises `SpecError`."""
    items = split_outside_brackets(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item.strip() for item in items):
        raise SpecError(f"cannot read --metrics {value!r}: give names separated by commas, such as rouge,chrf")
    return tuple(item.strip() for item in items)


def parse_changes(value: Any) -> dict[str, dict[str, Any]]:
    """`["lora.r=16"]` or `{"lora.r": 16}` → method → knob → value. Raises `SpecError`."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) and "=" in item for item in value):
        pairs = [tuple(item.split("=", 1)) for item in value]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        raise SpecError(f"cannot read the settings {value!r}: write METHOD.KNOB=VALUE, such as lora.r=16")
    changes: dict[str, dict[str, Any]] = {}
    for key, setting in pairs:
        method, dot, knob = str(key).partition(".")
        if not (method and dot and knob) or not isinstance(setting, SCALAR):
            said = f"{key}={setting}"
            raise SpecError(f"cannot read the setting {said!r}: write METHOD.KNOB=VALUE, such as lora.r=16")
        changes.setdefault(method, {})[knob] = setting
    return changes


def split_outside_brackets(text: str, separator: str = ",") -> list[str]:
    """Split at commas (or another separator) outside of brackets `[...]`, which may be nested."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def make_file_name(name: str) -> str:
    """Make a safe file name from the name of a model or a task."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[-80:].strip("-.") or "unnamed"


_HUB_ID = re.compile(r"(\w[\w.-]*/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)


def read_hub_id(text: str) -> tuple[str, str | None] | None:
    """`ORG/NAME[@REVISION]` → the id and the revision; `None` if the text is not an id of the hub."""
    match = _HUB_ID.fullmatch(text)
    return None if match is None else (match[1], match[2])


def expand_home(text: str, flag: str) -> Path:
    """The path that a flag gives, with `~` as the home directory. Raises `SpecError` where there is no such home."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{flag} {text}: there is no such home directory ({error}); write the path out") from error


def read_file_name(path: Path) -> str:
    """The last part of a path as it goes into records: UTF-8, whatever Python takes file names for in this locale."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def is_valid_path(text: str) -> bool:
    """Whether a file can have this name: it has no NUL byte and can be encoded."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def read_name(item: str, kind: str) -> tuple[str, dict[str, str]]:
    """`NAME[knob=value,…]` → the name and its knobs as text. `kind` is used in the message. Raises `SpecError`."""
    match = re.fullmatch(r"([^\[\]]+)(?:\[(.*)\])?", item)  # a value may be a variant with its own brackets
    if match is None:
        raise SpecError(f"cannot read the {kind} {item!r}: write NAME or NAME[knob=value,knob=value]")
    name, inside = match.group(1), match.group(2)
    pairs = [pair.partition("=") for pair in split_outside_brackets(inside)] if inside else []
    if any(not (knob and equals) for knob, equals, _ in pairs):
        said = f"cannot read the knobs of {item!r}: write NAME[knob=value,knob=value]"
        raise SpecError(said + ("; give a value that contains a comma by --set or in YAML" if kind == "method" else ""))
    knobs = {knob.strip(): value.strip() for knob, _, value in pairs}
    if len(knobs) < len(pairs):
        raise SpecError(f"a knob is given twice in {item!r}")
    return name.strip(), knobs


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML spec file. Raises `SpecError` with file and line for anything else or repeated keys."""
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's loader, which would silently keep the last of two equal keys, made to refuse them."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if str(key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):  # a few nested aliases can expand to more values than fit in memory
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.MarkedYAMLError(problem="aliases (*) are not supported", problem_mark=mark)
            return super().compose_node(parent, index)

        def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
            number = int(super().construct_yaml_int(node))
            if number.bit_length() > 63:  # Python refuses to print very large integers
                raise yaml.MarkedYAMLError(problem="a number is too large", problem_mark=node.start_mark)
            return number

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError as error:
        raise SpecError(f"the spec file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"cannot read the spec file {path}: {reason}") from error
    except Exception as error:  # PyYAML also raises errors that are not its own
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error or type(error).__name__).split())
        raise SpecError(f"{path}: {where}not valid YAML ({problem})") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path}: a spec is a mapping of keys to values, such as `model: embedded`")
    return data

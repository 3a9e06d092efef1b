"""Writes docs/records.md from the classes themselves: what a run directory and a record hold, field by field.

python -m reports.records.describe > docs/records.md
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from reports.records.decoding import Number, Text, Whole
from reports.records.metrics import METRICS, Metric
from reports.records.record import SCHEMA_VERSION, Environment, ModelInfo, Phase, Record, TaskInfo

RUN_DIRECTORY: Mapping[str, str] = {
    "records/ID.json": "The record of a trial. Its fields are below.",
    "predictions/ID.jsonl": "One line for each evaluated example: `id`, `references`, `prediction`, `tokens` "
    "(generated), `finished` (an end token came before the length limit) and `scores` by metric.",
    "logs/ID.log": "What the worker and its libraries printed, without secrets: the first 32 MiB and the last 1 MiB.",
    "leaderboard.md": "The leaderboard for people, as Markdown.",
    "leaderboard.html": "The same as one HTML page, with tables that can be sorted.",
    "leaderboard.csv": "The same as numbers: a line for each variant, means over seeds.",
    "differences.csv": "Every pair of variants: difference, interval, p-values.",
    "records.csv": "A line for each trial, with every field of its record but the scores of single examples.",
    "trade-offs.svg": "Quality against each cost. Plots of several tables are numbered: `trade-offs-2.svg`.",
    "learning-curve.svg": "Quality over training tokens, where some trial has a learning curve.",
    "reward-kl.svg": "Reward against KL, where some trial optimised a policy.",
    "artifacts/ID/": "What the method ships. Kept with `--save-models`, and while another trial starts from it.",
    "stages/ID/": "Pairs and samples of methods that train in stages, for people to read.",
    "checkpoints/ID.safetensors": "What a trial in training needs to go on after a crash. "
    "Removed when it has finished.",
    "superseded/": "Records that a later try of the same trial replaced.",
    "set-aside/": "Files that were found among the records and are none.",
    "rerun.json": "Trials that `--rerun` has still to reach.",
    "lock": "Keeps a second process out while one is at work.",
}
"""Every file that a run may leave → what it is."""

DETAILS: Mapping[str, str] = {
    "general_text": "On which text forgetting was measured: name, fingerprint, number of passages.",
    "scoring": "How the metrics split texts into words, and what they cannot see of the references.",
    "preferences": "Where the preference pairs come from, how many train and how many measure.",
    "reward": "Name and revision of the reward; of a learned reward model also how its training went.",
    "warm_start": "What a staged method started from: a warm start of its own, or another trial by its id.",
    "policy": "Algorithm of the policy optimisation, and its curve: reward and KL by batch.",
    "preference_tuning": "Loss and curve of methods that learn from pairs directly.",
    "tuning": "What a search tried, where, and what it chose.",
    "learning_curve": "Interval and examples of the curve that was asked for, and what measuring it took.",
    "resumed": "How often the trial went on from a checkpoint, and from which step.",
    "checkpoint": "Why a checkpoint could not be read or written.",
    "smaller_batches": "Batches that ran out of memory under `--on-oom halve-batch`, and those that were used.",
    "last": "The last measurements of a worker that ended without an outcome.",
}
"""Topic of `Record.details` → what the harness and its own methods keep there."""

PARTS = (Record, ModelInfo, TaskInfo, Environment, Phase, Metric)
"""The classes that a record is made of, in the order of the page."""

INTRODUCTION = """# Run directory and record

*This page is made from the classes: `python -m reports.records.describe > docs/records.md`. A test compares them.*

A run directory holds everything that is known of its trials. `ID` is the id of a trial: the first 16 hex digits of a
SHA-256 over everything that can change its predictions. Each file is written whole or not at all.
"""

RECORD = f"""## Record

A record is one JSON object. It is written when its trial ends, however that ends, and is never changed afterwards, but
for what can be worked out again without training (cost at another price, time to another target quality). What was not
measured is `null`, never 0. `object of X` is a JSON object whose values are X. The schema version is {SCHEMA_VERSION};
records of versions 1 to {SCHEMA_VERSION} can be read.
"""

DETAILS_SECTION = """### Details

Topics under `details` that the harness and its own methods use. `reports/records/details.py`
has the types of those that the harness itself writes.
"""

METRICS_SECTION = """## Metrics

The names under `metrics` and `scores`. Metrics that are chosen with `--metrics` come on top of them, and say of
themselves under `declared` what this table says of these.
"""


def describe() -> str:
    """The whole page, with a newline at its end."""
    blocks = [
        INTRODUCTION.strip(),
        _write_table(("path", "what it is"), _as_rows(RUN_DIRECTORY)),
        RECORD.strip(),
    ]
    for part in PARTS:
        if part is not Record:
            blocks += [f"### {part.__name__}", str(inspect.getdoc(part)).replace("`None`", "`null`")]
        blocks.append(_write_table(("field", "type", "meaning"), list(_list_fields(part))))
    blocks += [DETAILS_SECTION.strip(), _write_table(("topic", "what it holds"), _as_rows(DETAILS))]
    rows = [(f"`{m.name}`", m.title, m.unit, m.direction or "", m.formula) for m in METRICS.values()]
    blocks += [METRICS_SECTION.strip(), _write_table(("name", "title", "unit", "better", "formula"), rows)]
    return "\n\n".join(blocks) + "\n"


def _list_fields(part: type[Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field. Raises `ValueError` for one whose meaning is not told under it."""
    hints = get_type_hints(part, include_extras=True)
    meanings = read_field_docs(part)
    for field in dataclasses.fields(part):
        if field.name not in meanings:
            raise ValueError(f"{part.__name__}.{field.name} has no docstring")
        yield f"`{field.name}`", describe_type(hints[field.name]), meanings[field.name]


def read_field_docs(part: type[Any]) -> dict[str, str]:
    """Field → the text that stands under it in the class's source, as one line."""
    (tree,) = ast.parse(inspect.cleandoc(inspect.getsource(part))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[statement.target.id] = " ".join(text.split()).replace("`None`", "`null`")
    return found


def describe_type(hint: Any) -> str:
    """A type as people read it: `Mapping[str, Whole] | None` is `object of integer or null`."""
    if hint in _NAMES:
        return _NAMES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return " or ".join("null" if kind is type(None) else describe_type(kind) for kind in arguments)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_enclose(describe_type(arguments[0]))}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "object" if arguments[1] is Any else f"object of {_enclose(describe_type(arguments[1]))}"
    if dataclasses.is_dataclass(hint):
        name = getattr(hint, "__name__", str(hint))
        return f"[{name}](#{name.lower()})"
    raise ValueError(f"no words for the type {hint}")


_NAMES: dict[Any, str] = {str: "text", Text: "text", Whole: "integer", Number: "number"}


def _enclose(words: str) -> str:
    return f"({words})" if " " in words else words


def _as_rows(told: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(f"`{name}`", text) for name, text in told.items()]


def _write_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, ("---",) * len(head), *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main() -> None:
    """Print the page."""
    print(describe(), end="")


if __name__ == "__main__":
    main()

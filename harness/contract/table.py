"""Which tuner of PEFT works on which model family: the contract's checks as a table of docs/methods.md."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.contract import checks, tiny
from harness.contract.cases import Case, facts
from methods import registry
from methods.errors import MethodError, describe_error, describe_error_with_type
from methods.peft import PREFIX, methods
from methods.peft.introspection import read_version
from methods.types import Family

STEPS = 25
RATE = 1e-1
# What a random model of this size wants in so few steps says nothing of what a real model wants.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "adaption_prompt": {"learning_rate": 1.0},
    "cartridge": {"learning_rate": 1.0},
    "multitask_prompt_tuning": {"learning_rate": 1.0},
    "prefix_tuning": {"learning_rate": 1.0},
    "prompt_tuning": {"learning_rate": 1.0},
    "trainable_tokens": {"learning_rate": 1.0},
    # Its vectors may move by this much times sqrt(width / 2048), and those of a random model have to move far.
    "cpt": {"learning_rate": 1.0, "opt_projection_epsilon": 50.0},
}
"""Tuner → knobs with which the tiny models learn in `STEPS` steps, where they are not `RATE` alone."""
_CHECKS: tuple[Callable[[Case], None], ...] = (
    lambda case: checks.learns(case, STEPS),
    checks.reloads,
    lambda case: checks.pads(case, 3),  # after one step, what is zero at the start hides all that is behind it
    checks.switches_off,
)
BEGIN, END = "<!-- table: python -m harness.contract --table docs/methods.md -->", "<!-- end of table -->"
WORKS = "works"


@dataclass(frozen=True)
class TunerResult:
    """What came of a tuner on a family."""

    tuner: str
    family: Family
    text: str
    """`works (learning rate 0.1)`, or the sentences of the checks that failed, or why it is unsupported."""


def list_tuners() -> list[str]:
    """Tuners and settings of tuners that the installed PEFT registers."""
    return [name.removeprefix(PREFIX) for name in methods()]


def find_settings(tuner: str) -> dict[str, Any]:
    """Knobs for the tiny models."""
    return {"learning_rate": RATE, **SETTINGS.get(tuner, {})}


def check_tuner(tuner: str, family: Family) -> TunerResult:
    """Run every check on a tiny model of the family."""
    name, knobs = PREFIX + tuner, find_settings(tuner)
    reason = registry.build(name, knobs).unsupported(facts(family))
    if reason:
        # Of which family the tiny model is, its column says.
        said = reason.removeprefix(name).removesuffix(f"; {facts(family).name} is {family}").strip()
        return TunerResult(tuner, family, f"unsupported: {said}")
    failed = []
    for check in _CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(Case(name, family, Path(folder), knobs))
            except (AssertionError, MethodError) as error:
                failed.append(describe_error(error, None))
            except Exception as error:  # PEFT's, which may be anything
                failed.append(describe_error_with_type(error, None))
    text = "; ".join(dict.fromkeys(failed)) or f"{WORKS} (learning rate {knobs['learning_rate']:g})"
    return TunerResult(tuner, family, text)


def check_tuners(tuners: Iterable[str]) -> Iterator[TunerResult]:
    """Those of these tuners, family by family."""
    for tuner in tuners:
        for family in tiny.FAMILIES:
            yield check_tuner(tuner, family)


def format_table(found: Iterable[TunerResult]) -> str:
    """The table, with the version of PEFT that it holds for."""
    rows: dict[str, dict[str, str]] = {}
    for one in found:
        rows.setdefault(one.tuner, {})[one.family] = one.text.replace("|", "\\|")
    working = [sum(row[family].startswith(WORKS) for row in rows.values()) for family in tiny.FAMILIES]
    lines = [
        f"PEFT {read_version()}: {working[0]} of {len(rows)} work on decoder-only models, "
        f"{working[1]} on encoder-decoder.",
        "",
        "| method | what it trains | " + " | ".join(tiny.FAMILIES) + " |",
        "| --- | --- | " + " | ".join("---" for _ in tiny.FAMILIES) + " |",
    ]
    for tuner, row in rows.items():
        name = PREFIX + tuner
        cells = " | ".join(row[family] for family in tiny.FAMILIES)
        lines.append(f"| `{name}` | {registry.get(name).summary} | {cells} |")
    return "\n".join(lines)


def read_table(page: str) -> tuple[str, dict[tuple[str, str], str]]:
    """PEFT's version and the outcomes, by tuner and family, of a page that holds such a table."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    of = re.search(r"PEFT ([\w.]+):", table)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line.startswith(f"| `{PREFIX}")]
    found: dict[tuple[str, str], str] = {}
    for method, _, *cells in rows:
        for family, cell in zip(tiny.FAMILIES, cells, strict=True):
            found[method.strip().strip("`").removeprefix(PREFIX), family] = cell.strip().replace("\\|", "|")
    return of.group(1) if of else "", found


def mask_numbers(text: str) -> str:
    """A sentence without its numbers, which differ from machine to machine."""
    return re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", text)


def replace_table(page: str, table: str) -> str:
    """The page with another table. Raises `ValueError` for a page that marks no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"

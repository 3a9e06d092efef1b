"""The contract from pytest's command line, without a test file of one's own:

    pytest -p harness.contract.option --pyargs harness.contract --method mine --knob learning_rate=3e-2

`--plugin-file mine.py` finds the method in a file, whose only method needs no `--method`. This is a plugin for pytest;
the tests are in `harness.contract.test_method`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.plugins.files import add_file
from methods import registry
from methods.errors import MethodError


@dataclass(frozen=True)
class ContractOptions:
    """What the command line asks to check."""

    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    steps: int = 40


ASKED = pytest.StashKey[ContractOptions]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("contract", "the contract of a fine-tuning method")
    group.addoption("--method", metavar="NAME", help="the method to check")
    group.addoption(
        "--knob", action="append", default=[], metavar="KNOB=VALUE", help="change a knob of it; may be given often"
    )
    group.addoption("--steps", type=int, default=40, metavar="N", help="steps in which it learns one word (40)")
    group.addoption("--plugin-file", metavar="FILE", help="run a Python file and check a method of it")


def pytest_configure(config: pytest.Config) -> None:
    """Find the method. Raises `UsageError` with one sentence."""
    method, file, knobs = (config.getoption(name) for name in ("method", "plugin_file", "knob"))
    try:
        brought = add_file(Path(file).expanduser()).get("method", ()) if file else ()
        if method is None and len(brought) == 1:
            (method,) = brought
        if method is None:
            raise pytest.UsageError(
                f"--method is missing: name the method to check, one of {', '.join(brought or _list_methods())}"
            )
        if odd := [knob for knob in knobs if "=" not in knob]:
            raise pytest.UsageError(f"--knob {odd[0]}: write KNOB=VALUE, such as learning_rate=3e-2")
        settings = dict(knob.split("=", 1) for knob in knobs)
        registry.build(method, settings)
        if not registry.get(method).trains:
            raise pytest.UsageError(f"{method} trains nothing, so there is nothing to check")
    except (HarnessError, MethodError) as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[ASKED] = ContractOptions(method, settings, config.getoption("steps"))


def _list_methods() -> list[str]:
    """Methods that the contract can check, those of the families of names (`peft:NAME`) left out."""
    every = ((name, found) for name, found in registry.all_methods() if ":" not in name)
    return [name for name, found in every if isinstance(found, type) and found.trains and found.role == "candidate"]

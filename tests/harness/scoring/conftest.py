"""A metric of another package, installed for this process and its children: the one that docs/metrics.md shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from methods.base import Example

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def examples() -> list[Example]:
    return [
        Example("1", "one", ("the cat sat", "a dog")),
        Example("2", "two", ("no",)),
        Example("3", "three", ("yes, it is",)),
    ]


@pytest.fixture(scope="session")
def documented() -> list[tuple[str, str]]:
    """(language, code) of every block in docs/metrics.md."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(install, documented) -> Path:
    """The folder in which the documented plugin is installed, with its entry point."""
    (module,) = [code for _, code in documented if "class Tidiness" in code]
    (entry,) = [code for kind, code in documented if kind == "toml"]
    name, _, value = entry.partition("\n")[2].strip().partition(" = ")
    return install("tidiness", {"harness.metrics": {name: value.strip('"')}}, tidiness=module)

"""A metric of another package, installed for this process and its children: the one that docs/metrics.md shows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.metrics import registry
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
def installed(tmp_path_factory, monkeypatch, documented) -> Iterator[Path]:
    """The folder in which the documented plugin is installed, with its entry point."""
    site = tmp_path_factory.mktemp("site")
    (module,) = [code for _, code in documented if "class Tidiness" in code]
    (entry,) = [code for kind, code in documented if kind == "toml"]
    (site / "tidiness.py").write_text(module)
    info = site / "tidiness-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tidiness\nVersion: 1\n")
    name, _, value = entry.partition("\n")[2].strip().partition(" = ")
    (info / "entry_points.txt").write_text(f"[harness.metrics]\n{name} = {value.strip(chr(34))}\n")
    monkeypatch.syspath_prepend(site)
    registry.origins.cache_clear()
    yield site
    monkeypatch.undo()
    registry.origins.cache_clear()
    sys.modules.pop("tidiness", None)

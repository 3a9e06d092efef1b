"""Fixtures that several test modules share: tiny real models of both families, and the real data where it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .in_process import Done, run

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = ("decoder-only", "encoder-decoder")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real DialogSum and E2E files; their licences forbid shipping them with the project."""
    path = Path(os.environ.get("HARNESS_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("the real data is not here; set HARNESS_DATA_DIR to the folder with dialogsum/ and e2e/")
    return path


@pytest.fixture(scope="session")
def tokenizer():
    """The tokenizer of the tiny models."""
    from harness.contract import tiny

    return tiny.tokenizer()


@pytest.fixture(scope="session")
def tiny_model():
    """Return a function that makes a fresh random model of a family: the same weights each time."""
    from harness.contract import tiny

    return tiny.model


@pytest.fixture(scope="session")
def run_here() -> Callable[..., Done]:
    """Return a function that runs a command line, its trials included, in this process (`tests/in_process.py`)."""
    return run


@pytest.fixture
def install(tmp_path_factory, monkeypatch) -> Iterator[Callable[..., Path]]:
    """Return a function that installs a package, of modules and entry points, for this process; gives its folder,
    which installs it for others by `PYTHONPATH`."""
    before = set(sys.modules)

    def install(package: str, points: dict[str, dict[str, str]], **modules: str) -> Path:
        site = tmp_path_factory.mktemp("site")
        info = site / f"{package.replace('-', '_')}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in own.items()) for group, own in points.items()]
        (info / "entry_points.txt").write_text("".join(lines))
        for name, text in modules.items():
            (site / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(site)
        return site

    yield install
    for name in set(sys.modules) - before:  # those of the package alone: others stay loaded for tests to come
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]

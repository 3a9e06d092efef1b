"""Fixtures that several test modules share: tiny real models of both families, and the real data where it is."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .in_process import Done, launch, run

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = ("decoder-only", "encoder-decoder")


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="without PyTorch, and without what is marked slow")


def pytest_configure(config):
    if config.getoption("--quick"):
        sys.modules["torch"] = None  # so that importing it fails


def pytest_ignore_collect(collection_path, config):
    """With `--quick`, leave out files that import PyTorch at their top: all of them is about models."""
    if config.getoption("--quick") and collection_path.suffix == ".py":
        return bool(re.search(r"^(import|from) torch\b", collection_path.read_text("utf-8"), re.MULTILINE)) or None
    return None


def pytest_collection_modifyitems(config, items):
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def _skipped_where_it_asks_for_pytorch(item):
    """With `--quick`, skip a test in which something asks for PyTorch, whatever error that becomes."""
    try:
        return (yield)
    except Exception as error:
        if item.config.getoption("--quick") and _asks_for_pytorch(error):
            pytest.skip("it needs PyTorch")
        raise


def _asks_for_pytorch(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "torch":
            return True
        error = error.__cause__ or error.__context__
    return False


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_skipped_where_it_asks_for_pytorch)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_skipped_where_it_asks_for_pytorch)


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
def trials_here(monkeypatch) -> None:
    """Let the trials of runs that this process starts run in it, too."""
    monkeypatch.setattr("harness.launchers.local.LocalLauncher.launch", launch)


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

"""Fixtures that several test modules share: tiny real models of both families, and the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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

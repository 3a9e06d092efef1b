"""The fixture of the tests of refused input."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import reject

from harness.cli import main

from .malformed import VALID, refused, tracebacks


@pytest.fixture
def refuse(tmp_path, monkeypatch, request):
    """A function that runs a command line in an empty directory and checks that it is refused correctly."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    kind = request.node.originalname

    def refuse(*arguments: str) -> str:
        errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")  # never raises, as stderr does
        usage = False
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                code = main(arguments)
        except SystemExit as end:  # argparse prints its own message
            code, usage = end.code, True
        except Exception:
            tracebacks[kind] += 1
            raise
        errors.seek(0)
        text = errors.read()
        if VALID in text:
            reject()
        assert code == 2, text
        assert not list((tmp_path / "here").iterdir())
        if usage:
            assert ": error: " in text
        else:
            assert text.startswith("error: ")
            assert text.count("\n") == 1, text
            assert text.endswith("\n")
        refused[kind] += 1
        return text

    return refuse

"""The contract of the method that the command line names; the options are those of `harness.contract.option`."""

from __future__ import annotations

from typing import Any

import pytest

from harness.contract.option import ASKED
from harness.contract.suite import MethodContract


class TestMethod(MethodContract):
    """Every check on every family that the method serves."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Take the method from the command line, then parametrise as ever."""
        asked = metafunc.config.stash.get(ASKED, None)
        if asked is None:
            raise pytest.UsageError("these tests need a method: pytest -p harness.contract.option … --method NAME")
        cls = type(self)
        cls.method, cls.settings, cls.steps = asked.method, asked.settings, asked.steps
        super().pytest_generate_tests(metafunc)

"""What every trained method must do, as checks that anyone can run on a method of their own.

    from harness.contract import MethodContract

    class TestMine(MethodContract):
        method = "mine"

in a test file makes pytest run all of them, on a tiny model of each family that the method serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.contract import checks, tiny
from harness.contract.cases import Case, served_families

if TYPE_CHECKING:
    from harness.contract.suite import MethodContract

__all__ = ["Case", "MethodContract", "checks", "served_families", "tiny"]


def __getattr__(name: str) -> Any:
    """Import `MethodContract` when it is asked for: it needs pytest, and the checks themselves do not."""
    if name != "MethodContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.contract.suite import MethodContract

    return MethodContract

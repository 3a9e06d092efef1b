"""What every trained method must do, as checks that anyone can run on a method of their own.

    from harness.contract import MethodContract

    class TestMine(MethodContract):
        method = "mine"

in a test file makes pytest run all of them, on a tiny model of each family that the method serves.
"""

from harness.contract import checks, tiny
from harness.contract.cases import Case, served_families
from harness.contract.suite import MethodContract

__all__ = ["Case", "MethodContract", "checks", "served_families", "tiny"]

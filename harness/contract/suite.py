"""The checks as a pytest class; they use nothing of pytest but its naming and its fixtures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

try:
    import pytest
except ImportError as error:
    raise ImportError('the contract is run by pytest: pip install "finetune-harness[test]", or pytest alone') from error

from harness.contract import checks
from harness.contract.cases import Case, served_families


class MethodContract:
    """Subclass it as `TestSomething`, name the method, and pytest runs every check on every family that it serves."""

    method: ClassVar[str]
    """The name under which the method is registered."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Knobs with which a tiny random model learns one word in `steps` steps; most want a high learning rate."""
    steps: ClassVar[int] = 40

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each check and family."""
        if "family" in metafunc.fixturenames:
            metafunc.parametrize("family", served_families(self.method, self.settings))

    @pytest.fixture
    def case(self, family: Any, tmp_path: Path) -> Case:
        """The method on the tiny model of the family."""
        return Case(self.method, family, tmp_path, self.settings)

    def test_its_loss_falls_and_frozen_weights_stay(self, case: Case) -> None:
        """It learns, and changes what it trains alone."""
        checks.learns(case, self.steps)

    def test_it_reloads_to_the_same_logits(self, case: Case) -> None:
        """What ships is whole, and no pickle."""
        checks.reloads(case)

    def test_a_padded_batch_answers_as_each_prompt_alone(self, case: Case) -> None:
        """Padding changes no answer."""
        checks.pads(case)

    def test_with_the_adapter_off_it_is_the_base(self, case: Case) -> None:
        """Where it has an adapter, that can be switched off."""
        checks.switches_off(case)

    def test_another_family_is_refused_in_one_sentence(self) -> None:
        """`unsupported` says why, and names the method."""
        checks.refuses(self.method, self.settings)

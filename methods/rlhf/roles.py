"""Policy, reference and reward model over one set of base weights.

With adapters (`peft=lora`) the base exists once. The policy's adapter is called `default`, as in any PEFT model that
ships. The adapter `ref` is a copy of it after the warm start; TRL looks for its reference under this name too. The
reward model has an adapter `reward`. Without adapters (`peft=none`) reference and reward model are copies of all
weights.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

POLICY, REFERENCE, REWARD = "default", "ref", "reward"


class Roles:
    """Lets one wrapped model act as the policy, the reference or the body of the reward model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.adapters = hasattr(model, "peft_config")
        self._copies: dict[str, Any] = {}
        self._active = (POLICY, True)

    def keep(self, role: str) -> None:
        """Copy the adapter, or the whole model, as it is now, and use the copy for this role from now on."""
        if not self.adapters:
            self._copies[role] = copy.deepcopy(self.model).requires_grad_(role == REWARD).eval()
            return
        import peft

        self.model.add_adapter(role, copy.deepcopy(self.model.peft_config[POLICY]))
        state = peft.get_peft_model_state_dict(self.model, adapter_name=POLICY, save_embedding_layers=False)
        peft.set_peft_model_state_dict(self.model, state, adapter_name=role)
        self.model.train(self.model.training)  # a new adapter starts with dropout on
        self._activate(POLICY, True)

    def drop(self, role: str) -> None:
        """Remove a role and free its memory."""
        if self.adapters:
            self.model.delete_adapter(role)
            self._activate(POLICY, True)
        else:
            self._copies.pop(role)

    def __contains__(self, role: str) -> bool:
        """Whether this role exists."""
        return role == POLICY or role in (self.model.peft_config if self.adapters else self._copies)

    def weights(self, role: str) -> dict[str, Any]:
        """The weights of a role that differ from the base, under the names of the policy's weights."""
        if self.adapters:
            own = {n: p for n, p in self.model.named_parameters() if f".{role}." in n}
            return {name.replace(f".{role}.", f".{POLICY}."): weight for name, weight in own.items()}
        return dict((self.model if role == POLICY else self._copies[role]).named_parameters())

    @contextlib.contextmanager
    def playing(self, role: str, *, train: bool = False) -> Iterator[Any]:
        """Give the model in this role until the context ends; with gradients only if `train` is set."""
        if not self.adapters:
            yield self.model if role == POLICY else self._copies[role]
            return
        before = self._active
        self._activate(role, train)
        try:
            yield self.model
        finally:
            self._activate(*before)

    def _activate(self, role: str, train: bool) -> None:
        self._active = (role, train)
        self.model.set_adapter(role, inference_mode=not train)

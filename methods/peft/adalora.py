"""AdaLoRA and AdaMSS, which reallocate their parameters during training by a schedule in steps.

A budget may be in tokens, minutes or epochs, so the number of steps is not known beforehand. The schedule therefore has
`PARTS` steps of its own, and the share of the budget that is used says which of them is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from methods.errors import InvalidSettingError
from methods.peft.method import PeftMethod
from methods.types import Setting, State

PARTS = 1000
"""Number of steps of a schedule, for every budget."""


class AdaLoRA(PeftMethod):
    """AdaLoRA: importance scores decide which singular values of the adapters are kept. `tinit`, `tfinal` and `deltaT`
    are in thousandths of the budget."""

    def __init__(self, config: Any | None = None) -> None:
        super().__init__(config)
        for knob in ("deltaT", "init_r", "target_r"):
            if getattr(self.config, knob) < 1:
                raise InvalidSettingError(f"{self.name}.{knob}: must be at least 1")
        if self.config.tinit + self.config.tfinal >= PARTS:
            raise InvalidSettingError(f"{self.name}: tinit and tfinal must sum to less than {PARTS}")

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Add the length of the schedule, which PEFT needs."""
        return {**super().arguments(model, setting), "total_step": PARTS}

    def load(self, model: Any, directory: Path) -> Any:
        """Load the adapter, and set its name, which PEFT needs in every forward pass but sets only in training."""
        model = super().load(model, directory)
        model.base_model.trainable_adapter_name = model.active_adapter
        return model

    def penalty(self, model: Any) -> Any:
        """The paper's regulariser, which keeps singular vectors orthogonal; PEFT adds it only to its own losses."""
        import torch

        parts = []
        for name, weight in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = weight @ weight.T if "lora_A" in name else weight.T @ weight
                parts.append(torch.linalg.norm(product - torch.eye(len(product), device=product.device)))
        return self.config.orth_reg_weight * sum(parts) / len(parts)

    def after_step(self, model: Any, step: int, progress: float) -> None:
        """Update importance scores and masks once in every step, and do the final allocation once."""
        tuner = model.base_model
        last = getattr(tuner, "schedule_step", -1)
        now, final, every = round(progress * PARTS), PARTS - self.config.tfinal, self.config.deltaT
        if last < final <= now:
            if last < 0:  # the budget is so short that nothing was scored before
                tuner.update_and_allocate(final - 1)
            now = final
        elif now < final:
            now -= now % every if now // every > max(last, 0) // every else 0  # a mask was due since the last step
        elif now == final:
            now += 1
        tuner.update_and_allocate(now)
        tuner.schedule_step = now

    def state(self, model: Any) -> State:
        """Return importance scores, final ranks and the position in the schedule."""
        tuner = model.base_model
        allocator = tuner.rankallocator
        tensors = {f"{kind}/{name}": tensor for kind in _SCORES for name, tensor in getattr(allocator, kind).items()}
        ranks = model.peft_config[model.active_adapter].rank_pattern
        return State(tensors, {"step": getattr(tuner, "schedule_step", -1), "ranks": ranks})

    def restore(self, model: Any, state: State) -> None:
        """Restore what `state` returned."""
        tuner = model.base_model
        tuner.schedule_step = state.values["step"]
        model.peft_config[model.active_adapter].rank_pattern = state.values["ranks"]
        for kind in _SCORES:
            scores = {name.partition("/")[2]: name for name in state.tensors if name.startswith(f"{kind}/")}
            kept: Mapping[str, Any] = {
                name: state.tensors[key].to(model.device).clone() for name, key in scores.items()
            }
            setattr(tuner.rankallocator, kind, dict(kept))


_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class AdaMSS(PeftMethod):
    """AdaMSS with fixed subspaces; its adaptive allocation is not supported."""

    def __init__(self, config: Any | None = None) -> None:
        super().__init__(config)
        if self.config.use_asa:
            raise InvalidSettingError(f"{self.name}.use_asa: adaptive allocation is not supported; leave it off")

"""`surgical`: one contiguous block of layers trains (Lee et al. 2023, Surgical Fine-Tuning)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from methods.base import Method, Setting, TrainingConfig, require
from methods.errors import UnsupportedError
from methods.knobs import knob

FILE = "block.safetensors"


@dataclass(frozen=True, kw_only=True)
class SurgicalConfig(TrainingConfig):
    """Knobs of surgical fine-tuning."""

    learning_rate: float = knob(
        5e-5,
        source="5e-5, that of full fine-tuning here; the paper searches one for each data set and block.",
    )
    block: Literal["first", "middle", "last"] = knob(
        "first",
        "Where the block lies. First, because that is the paper's finding: the last is what is usually tuned.",
    )
    share: float = knob(
        0.25,
        "Share of a stack's layers, above 0 and at most 1; a quarter, since the paper's networks have four blocks.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.share <= 1, "share", "must be above 0 and at most 1")


class Surgical(Method):
    """Freezes all but one block of layers in each stack."""

    name = "surgical"
    summary = "one contiguous block of layers (Lee et al. 2023)"
    Config = SurgicalConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Freeze the model but for the block. Raises `UnsupportedError` for a model without a stack of layers."""
        stacks = layer_stacks(model)
        if not stacks:
            raise UnsupportedError(f"{self.name} found no stack of layers in {setting.facts.architecture}")
        model.requires_grad_(False)
        for stack in stacks:
            for index in self.chosen(len(stack)):
                stack[index].requires_grad_(True)
        return model

    def chosen(self, layers: int) -> range:
        """Indices of the block among so many layers; at least one."""
        count = max(1, round(self.config.share * layers))
        start = {"first": 0, "middle": (layers - count) // 2, "last": layers - count}[self.config.block]
        return range(start, start + count)

    def save(self, model: Any, directory: Path) -> None:
        """Write the block: everything else is in the base already."""
        from safetensors.torch import save_file

        directory.mkdir(parents=True, exist_ok=True)
        block = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}
        save_file(block, directory / FILE)

    def load(self, model: Any, directory: Path) -> Any:
        """Put the block into a freshly loaded base. Raises `RuntimeError` for one of another model."""
        from safetensors.torch import load_file

        unexpected = model.load_state_dict(load_file(directory / FILE), strict=False).unexpected_keys
        if unexpected:
            raise RuntimeError(f"the block is of another model: it has {unexpected[0]}")
        return model


def layer_stacks(model: Any) -> list[Any]:
    """The model's stacks of layers: one, or an encoder's and a decoder's. Lists inside a layer are none."""
    from torch.nn import ModuleList

    stacks: dict[str, Any] = {}
    for name, module in model.named_modules():
        if isinstance(module, ModuleList) and not any(name.startswith(f"{outer}.") for outer in stacks):
            stacks[name] = module
    return list(stacks.values())

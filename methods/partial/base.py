"""What methods share that train a part of the model's own weights: that part alone ships."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from methods.base import Method
from methods.types import Setting

WEIGHTS, ABOUT = "changed.safetensors", "changed.json"
"""What ships: the weights that trained, by the model's own names for them, and of which model they are."""


class Partial(Method):
    """Freezes the model but for what a subclass chooses."""

    @abstractmethod
    def choose(self, model: Any) -> Iterable[Any]:
        """The parameters that train. Raises `UnsupportedError` where the model has none."""

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Only what was chosen trains."""
        model.requires_grad_(False)
        for parameter in self.choose(model):
            parameter.requires_grad_(True)
        return model

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Weights that train are float32 and the others may have 16 bits: autocast lets them meet."""
        import torch

        held = next((p.dtype for p in model.parameters() if not p.requires_grad), torch.float32)
        with torch.autocast(model.device.type, dtype=held, enabled=held in (torch.bfloat16, torch.float16)):
            return super().generate(model, inputs, **decoding)

    def save(self, model: Any, directory: Path) -> None:
        """Write the weights that trained, in float32, and the name and type of the model that they belong to."""
        from safetensors.torch import save_file

        from methods.engine.training_state import trainable

        directory.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().contiguous() for name, weight in trainable(model).items()}
        save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
        about = {"method": self.name, "base_model": model.name_or_path, "architecture": type(model).__name__}
        (directory / ABOUT).write_text(json.dumps(about, indent=2) + "\n", "utf-8")

    def load(self, model: Any, directory: Path) -> Any:
        """Write what shipped into a fresh base, in the base's own number format.

        Raises `InvalidSettingError` where it belongs to another model.
        """
        import torch
        from safetensors.torch import load_file

        from methods.errors import InvalidSettingError

        shipped = load_file(directory / WEIGHTS)
        self.make_room(model, shipped)
        own = dict(model.named_parameters())
        for name, weight in shipped.items():
            if name not in own or own[name].shape != weight.shape:
                of = json.loads((directory / ABOUT).read_text("utf-8"))
                raise InvalidSettingError(
                    f"{name} is not a weight of this {type(model).__name__}, or has another shape: what {self.name} "
                    f"shipped is for {of['base_model'] or 'another'} ({of['architecture']})"
                )
        with torch.no_grad():
            for name, weight in shipped.items():
                own[name].copy_(weight)
        return model

    def make_room(self, model: Any, shipped: Iterable[str]) -> None:
        """Add what the base lacks of the weights with these names, for methods that train weights of their own."""

"""The base class of methods that train a part of the model's own weights and ship only that part."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from methods.base import Method
from methods.types import Setting

WEIGHTS_FILE, DESCRIPTION_FILE = "changed.safetensors", "changed.json"
"""Files that ship: the trained weights by their names in the model, and which model they belong to."""


class Partial(Method):
    """Freezes the model except for the parameters that a subclass chooses."""

    @abstractmethod
    def choose(self, model: Any) -> Iterable[Any]:
        """Return the parameters to train. Raises `UnsupportedError` if the model has none."""

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Make only the chosen parameters trainable."""
        model.requires_grad_(False)
        for parameter in self.choose(model):
            parameter.requires_grad_(True)
        return model

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Generate in mixed precision: trained weights are float32 and the others may have 16 bits."""
        import torch

        held = next((p.dtype for p in model.parameters() if not p.requires_grad), torch.float32)
        with torch.autocast(model.device.type, dtype=held, enabled=held in (torch.bfloat16, torch.float16)):
            return super().generate(model, inputs, **decoding)

    def save(self, model: Any, directory: Path) -> None:
        """Save the trained weights in float32, and the name and class of the model that they belong to."""
        from safetensors.torch import save_file

        from methods.engine.training_state import find_trainable_weights

        directory.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().contiguous() for name, weight in find_trainable_weights(model).items()}
        save_file(weights, directory / WEIGHTS_FILE, metadata={"format": "pt"})
        about = {"method": self.name, "base_model": model.name_or_path, "architecture": type(model).__name__}
        (directory / DESCRIPTION_FILE).write_text(json.dumps(about, indent=2) + "\n", "utf-8")

    def load(self, model: Any, directory: Path) -> Any:
        """Copy the saved weights into a freshly loaded base, in the base's number format.

        Raises `InvalidSettingError` if they belong to another model.
        """
        import torch
        from safetensors.torch import load_file

        from methods.errors import InvalidSettingError

        shipped = load_file(directory / WEIGHTS_FILE)
        self.make_room(model, shipped)
        own = dict(model.named_parameters())
        for name, weight in shipped.items():
            if name not in own or own[name].shape != weight.shape:
                of = json.loads((directory / DESCRIPTION_FILE).read_text("utf-8"))
                raise InvalidSettingError(
                    f"{name} is not a weight of this {type(model).__name__}, or has another shape: what {self.name} "
                    f"saved is for {of['base_model'] or 'another model'} ({of['architecture']})"
                )
        with torch.no_grad():
            for name, weight in shipped.items():
                own[name].copy_(weight)
        return model

    def make_room(self, model: Any, shipped: Iterable[str]) -> None:
        """Add those of the named weights that the base does not have, for methods that add weights."""

"""`base`: the untouched model, which every method is compared with. Nothing trains and nothing ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from methods.base import Method
from methods.types import Family, Setting


@dataclass(frozen=True)
class UntouchedConfig:
    """The base model has no knobs."""


class Untouched(Method):
    """Evaluates the base model with the task's first phrasing, zero-shot."""

    name = "base"
    summary = "the untouched model, evaluated zero-shot; every comparison includes it"
    Config: ClassVar[type[Any]] = UntouchedConfig
    trains = False
    role: ClassVar[Literal["candidate", "base", "fake"]] = "base"
    families: ClassVar[tuple[Family, ...]] = ("decoder-only", "encoder-decoder", "toy")

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Freeze everything."""
        model.requires_grad_(False)
        return model

    def save(self, model: Any, directory: Path) -> None:
        """Create an empty folder: the base model ships nothing."""
        directory.mkdir(parents=True, exist_ok=True)

"""A torch-free stand-in for a model, for tests of everything around training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class ToyModel:
    """Answers with the last words of its input: one more of them with every hundred steps it has seen."""

    parameter_count = 12

    def __init__(self) -> None:
        self.steps = 0

    def learn(self) -> None:
        """Take one step."""
        self.steps += 1

    def answer(self, text: str) -> tuple[str, int]:
        """(answer, its length in words)."""
        words = text.rstrip(".").split()[-1 - self.steps // 100 :]
        return " ".join(words), len(words)

    def save_pretrained(self, directory: Path, **_: Any) -> None:
        """Write what there is to write."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "toy.json").write_text(json.dumps({"steps": self.steps}) + "\n", encoding="utf-8")

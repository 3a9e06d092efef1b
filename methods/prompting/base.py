"""What methods share that change the prompt and no weight: the prompt is all that ships."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from methods.prompting.untouched import Untouched
from methods.types import Example, Setting, Text

PROMPT = "prompt.json"
"""What ships: `before` and `after`, between which the input stands, and `stop`, at which an answer ends (or null)."""


class Prompting(Untouched):
    """A candidate that trains nothing, so that a leaderboard shows what not training would give."""

    role = "candidate"
    families = ("decoder-only", "encoder-decoder")

    _prompt: tuple[str, str] | None = None
    _stop: str | None = None
    """Text that ends an answer as an end token does."""

    @abstractmethod
    def compose(self, model: Any, setting: Setting) -> tuple[str, str]:
        """What stands before and after the input. Raises `UnsupportedError` where there is no such prompt."""

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Freeze everything and settle on the prompt."""
        self._prompt = self.compose(model, setting)
        return super().prepare(model, setting)

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """The prompt that `prepare` settled on, or `load` has read."""
        if self._prompt is None:
            return super().write(example, templates, choice)
        before, after = self._prompt
        return Text(before, example.input, after, example.target, chat=True)

    def save(self, model: Any, directory: Path) -> None:
        """Write the prompt."""
        super().save(model, directory)
        before, after = self._prompt or ("", "")
        told = json.dumps({"before": before, "after": after, "stop": self._stop}, ensure_ascii=False, indent=2)
        (directory / PROMPT).write_text(told + "\n", "utf-8")

    def load(self, model: Any, directory: Path) -> Any:
        """Read the prompt; the model stays what it is."""
        told = json.loads((directory / PROMPT).read_text("utf-8"))
        self._prompt, self._stop = (told["before"], told["after"]), told["stop"]
        return model

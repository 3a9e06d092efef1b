"""The base class of methods that change only the prompt; the prompt is all that ships."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from methods.prompting.untouched import Untouched
from methods.types import Example, Setting, Text

PROMPT_FILE = "prompt.json"
"""The file that ships: texts `before` and `after` the input, and the text `stop` that ends an answer (or null)."""


class Prompting(Untouched):
    """A ranked method that trains nothing, so that a leaderboard shows what can be reached without training."""

    role = "candidate"
    families = ("decoder-only", "encoder-decoder")

    _prompt: tuple[str, str] | None = None
    _stop: str | None = None
    """Text that ends an answer, as an end token does."""

    @abstractmethod
    def compose(self, model: Any, setting: Setting) -> tuple[str, str]:
        """Return the prompt's text before and after the input. Raises `UnsupportedError` if no prompt is possible."""

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Freeze everything and compose the prompt."""
        self._prompt = self.compose(model, setting)
        return super().prepare(model, setting)

    def write(self, example: Example, templates: Sequence[str], choice: int) -> Text:
        """Write the example into the prompt that `prepare` composed or `load` read."""
        if self._prompt is None:
            return super().write(example, templates, choice)
        before, after = self._prompt
        return Text(before, example.input, after, example.target, chat=True)

    def save(self, model: Any, directory: Path) -> None:
        """Save the prompt."""
        super().save(model, directory)
        before, after = self._prompt or ("", "")
        told = json.dumps({"before": before, "after": after, "stop": self._stop}, ensure_ascii=False, indent=2)
        (directory / PROMPT_FILE).write_text(told + "\n", "utf-8")

    def load(self, model: Any, directory: Path) -> Any:
        """Read the prompt, and return the model unchanged."""
        told = json.loads((directory / PROMPT_FILE).read_text("utf-8"))
        self._prompt, self._stop = (told["before"], told["after"]), told["stop"]
        return model

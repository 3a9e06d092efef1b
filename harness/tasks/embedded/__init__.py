"""Everyday dialogues with summaries, generated, so that the harness can be tried with no file and no network.

The form is DialogSum's: turns that begin with `#Person1#:` or `#Person2#:`, and summaries that speak of them in the
third person. Every sentence is this project's own. Standard library only.
"""

from __future__ import annotations

from harness.tasks.embedded.generator import SIZES, Dialogue, generate

__all__ = ["SIZES", "Dialogue", "generate"]

"""How many parameters there are and train, and how large what ships is."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def count_parameters(model: Any) -> tuple[int, int]:
    """(trainable, total) parameters. Tied weights count once; packed 4-bit weights as the parameters they stand for."""
    trainable = total = 0
    for parameter in model.parameters():  # yields a tied weight once
        count = _count_elements(parameter)
        total += count
        trainable += count if parameter.requires_grad else 0
    return trainable, total


NOT_SHIPPED = frozenset({"README.md", ".gitattributes"})
"""Files for people and sites, which nothing that loads a model reads. PEFT writes a model card beside each adapter."""


def count_bytes(directory: Path) -> int:
    """Bytes of the files below a directory without which what it holds cannot be loaded; 0 where it does not exist."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in NOT_SHIPPED)
    return sum(path.stat().st_size for path in files)


def _count_elements(parameter: Any) -> int:
    # bitsandbytes packs two 4-bit values into a byte and keeps the shape they stand for in the quantisation state.
    state = getattr(parameter, "quant_state", None)
    shape = getattr(state, "shape", None)
    if shape is not None:
        count = 1
        for size in shape:
            count *= int(size)
        return count
    return int(parameter.numel())

"""`last-layers`: the last transformer blocks and the norm after them train (Lee et al. 2019, "What would Elsa do?")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from methods.knobs import knob
from methods.partial.base import Partial
from methods.types import require
from methods.whole.full import FullConfig


@dataclass(frozen=True, kw_only=True)
class LastLayersConfig(FullConfig):
    """Knobs of training the last layers. The learning rate is that of full fine-tuning."""

    n: int = knob(
        2,
        "Number of transformer blocks to train, counted from the output; of the decoder in an encoder–decoder model. "
        "Lee et al. 2019 reach nine tenths of the quality with a quarter of BERT's and RoBERTa's blocks; 2 of 12 is a "
        "sixth.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n >= 1, "n", "must be at least 1")


class LastLayers(Partial):
    """Trains the last blocks. Embeddings and output head stay frozen."""

    name = "last-layers"
    summary = "the last n transformer blocks and the final norm (Lee et al. 2019)"
    Config = LastLayersConfig

    def choose(self, model: Any) -> Iterable[Any]:
        """Return the weights of the last blocks and the final norm. Raises `UnsupportedError` if n is too large."""
        from methods.errors import UnsupportedError

        parent, blocks = find_blocks(model)
        if blocks is None:
            raise UnsupportedError(f"{self.name} finds no list of transformer blocks in {type(model).__name__}")
        if self.config.n > len(blocks):
            of = "decoder blocks" if model.config.is_encoder_decoder else "blocks"
            raise UnsupportedError(f"{self.name}.n is {self.config.n}, and the model has {len(blocks)} {of}")
        # Models such as BART also have a norm of the embeddings next to the blocks.
        norms = [
            child
            for name, child in parent.named_children()
            if type(child).__name__.endswith("Norm") and "embed" not in name
        ]
        return [parameter for part in (*blocks[-self.config.n :], *norms) for parameter in part.parameters()]


def find_blocks(model: Any) -> tuple[Any, Any]:
    """Return (the module that holds the transformer blocks, the blocks); of an encoder–decoder model, the decoder's.

    The blocks are the longest `ModuleList` on the outermost level that has any: blocks may contain lists themselves.
    """
    import torch

    stack = model.get_decoder() if model.config.is_encoder_decoder else model
    level = [stack]
    while level:
        lists = [
            (module, child)
            for module in level
            for child in module.children()
            if isinstance(child, torch.nn.ModuleList) and len(child)
        ]
        if lists:
            return max(lists, key=lambda found: len(found[1]))
        level = [child for module in level for child in module.children()]
    return stack, None

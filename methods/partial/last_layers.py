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
    """Knobs of training the last layers; the learning rate is that of full fine-tuning."""

    n: int = knob(
        2,
        "Transformer blocks that train, counted from the output; of the decoder in an encoder–decoder model. Lee et "
        "al. 2019 keep nine tenths of the quality with a quarter of BERT's and RoBERTa's blocks; 2 is a sixth of 12.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n >= 1, "n", "must be at least 1")


class LastLayers(Partial):
    """The end of the stack; embeddings and output head stay as they are."""

    name = "last-layers"
    summary = "the last n transformer blocks and the final norm (Lee et al. 2019)"
    Config = LastLayersConfig

    def choose(self, model: Any) -> Iterable[Any]:
        """The last blocks and the norms beside them. Raises `UnsupportedError` for more blocks than there are."""
        from methods.errors import UnsupportedError

        parent, blocks = find_blocks(model)
        if blocks is None:
            raise UnsupportedError(f"{self.name} finds no list of transformer blocks in {type(model).__name__}")
        if self.config.n > len(blocks):
            of = "decoder blocks" if model.config.is_encoder_decoder else "blocks"
            raise UnsupportedError(f"{self.name}.n is {self.config.n}, and the model has {len(blocks)} {of}")
        # BART's kind has a norm of its embeddings beside the blocks, too.
        norms = [
            child
            for name, child in parent.named_children()
            if type(child).__name__.endswith("Norm") and "embed" not in name
        ]
        return [parameter for part in (*blocks[-self.config.n :], *norms) for parameter in part.parameters()]


def find_blocks(model: Any) -> tuple[Any, Any]:
    """(the module that holds the transformer blocks, the blocks); of an encoder–decoder model, the decoder's.

    They are the longest `ModuleList` of those that lie least deep: blocks may have lists of their own.
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

"""Tiny random models of both families, a tokenizer and examples: real ones, made on the spot in a moment."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from methods.types import Example, Family, Limits

FAMILIES: tuple[Family, ...] = ("decoder-only", "encoder-decoder")
TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
EXAMPLES = tuple(Example(str(i), f"fox {i} " + "jumps " * (i % 4), ("dog",)) for i in range(32))
"""All have the same answer, so that a few dozen steps show whether anything is learned at all."""
LIMITS = Limits(64, 16)


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """A byte-level BPE tokenizer of some 300 entries with pad and end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>")


def model(family: Family) -> Any:
    """A fresh random model of a family, with the same weights each time: Llama's type (72 k parameters) or T5's."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    tokens = tokenizer()
    torch.manual_seed(0)
    special = {"pad_token_id": tokens.pad_token_id, "eos_token_id": tokens.eos_token_id}
    if family == "decoder-only":
        # Fewer key-value heads than heads, as current models have. 4-bit kernels want widths divisible by 32.
        llama = LlamaConfig(
            vocab_size=len(tokens),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            bos_token_id=None,
            initializer_range=0.2,
            **special,
        )
        return LlamaForCausalLM(llama).eval()
    # Heads × head width is not the model width (as in flan-t5-small), and encoder and decoder differ in depth.
    t5 = T5Config(
        vocab_size=len(tokens),
        d_model=64,
        d_ff=128,
        num_layers=3,
        num_decoder_layers=2,
        num_heads=4,
        d_kv=8,
        dropout_rate=0.0,
        decoder_start_token_id=tokens.pad_token_id,
        **special,
    )
    return T5ForConditionalGeneration(t5).eval()

"""Fixtures that several test modules share: tiny real models of both families, and the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = ("decoder-only", "encoder-decoder")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real DialogSum and E2E files; their licences forbid shipping them with the project."""
    path = Path(os.environ.get("HARNESS_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("the real data is not here; set HARNESS_DATA_DIR to the folder with dialogsum/ and e2e/")
    return path


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE tokenizer with pad and end token, made on the spot."""
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


@pytest.fixture(scope="session")
def tiny_model(tokenizer):
    """Return a function that makes a fresh random model of a family: the same weights each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    def make(family: str):
        torch.manual_seed(0)
        if family == "decoder-only":
            # Fewer key-value heads than heads, as current models have. 4-bit kernels want widths divisible by 32.
            config = LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=256,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                bos_token_id=None,
                initializer_range=0.2,
            )
            return LlamaForCausalLM(config).eval()
        # Heads × head width is not the model width (as in flan-t5-small), and encoder and decoder differ in depth.
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=64,
            d_ff=128,
            num_layers=3,
            num_decoder_layers=2,
            num_heads=4,
            d_kv=8,
            dropout_rate=0.0,
            decoder_start_token_id=tokenizer.pad_token_id,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        return T5ForConditionalGeneration(config).eval()

    return make

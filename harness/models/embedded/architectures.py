"""Tokenizer and untrained models of the embedded pair. Widths are multiples of 32, which 4-bit kernels want."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from harness.models.embedded import corpus

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, T5ForConditionalGeneration

ARCHITECTURES = ("decoder-only", "encoder-decoder")
CONTEXT = 512
VOCABULARY = 1536
SPEAKERS = ("#Person1#", "#Person2#")
"""One token each, as they stand in every turn and most summaries."""
SENTINELS = 16
"""Marks that stand for the spans that an encoder–decoder model is to restore."""
TOKENIZER_DIALOGUES = 4000


def make_tokenizer(architecture: str, seed: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on pre-training dialogues; the T5's ends what it encodes with `</s>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", *SPEAKERS]
    sentinels = [f"<extra_id_{i}>" for i in range(SENTINELS)] if architecture == "encoder-decoder" else []
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special + sentinels,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Every second text is questions with answers, so that their words are whole tokens as well.
    texts = itertools.islice(corpus.documents(seed), TOKENIZER_DIALOGUES)
    raw.train_from_iterator(texts, trainer)
    # The trainer calls all that it must not split special; speakers are text, which decoding must not leave out.
    description = json.loads(raw.to_str())
    for token in description["added_tokens"]:
        token["special"] = token["content"] not in SPEAKERS
    raw = Tokenizer.from_str(json.dumps(description))
    if architecture == "encoder-decoder":
        end = raw.token_to_id("</s>")
        raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        additional_special_tokens=sentinels,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_model(architecture: str, tokenizer: Any) -> LlamaForCausalLM | T5ForConditionalGeneration:
    """A model with random weights; seed PyTorch before."""
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    if architecture == "decoder-only":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=192,
                intermediate_size=448,
                num_hidden_layers=4,
                num_attention_heads=6,
                max_position_embeddings=CONTEXT,
                tie_word_embeddings=True,
                rope_parameters={"rope_type": "default", "rope_theta": 1e6},
                bos_token_id=None,
                **ids,
            )
        )
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=160,
            d_kv=32,
            num_heads=5,
            d_ff=256,
            num_layers=3,
            num_decoder_layers=3,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            tie_word_embeddings=True,
            decoder_start_token_id=tokenizer.pad_token_id,
            **ids,
        )
    )

"""Targets begin and end as the model learned them, and control tokens in data are text."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as t

from methods.base import Limits, Text
from methods.engine.encoding import IGNORED, Encoder
from methods.engine.loss import compute_loss
from methods.engine.texts import find_target_frame

LIMITS = Limits(40, 20)
LETTERS = [(letter, -2.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
CONTROL = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
PAIRS = [("ab cd", "the answer"), ("hello you", "is"), ("x", "always the same")]


def make_bart():
    tokens = {
        word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyzĠ"])
    }
    return t.BartTokenizer(vocab=tokens, merges=[])


def make_mbart50():
    return t.MBart50Tokenizer(vocab=[*CONTROL, *LETTERS], src_lang="en_XX", tgt_lang="de_DE")


def make_mbart():
    return t.MBartTokenizer(vocab=[*CONTROL, *LETTERS], src_lang="en_XX", tgt_lang="de_DE")


def make_nllb():
    words = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *"▁abcdefghijklmnopqrstuvwxyz"])}
    return t.NllbTokenizer(vocab=words, merges=[], src_lang="eng_Latn", tgt_lang="deu_Latn")


def make_t5():
    return t.T5Tokenizer(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *LETTERS], extra_ids=0)


FRAMES = {
    "bart": (make_bart, ["<s>"], ["</s>"]),
    "mbart50": (make_mbart50, ["de_DE"], ["</s>"]),
    "mbart": (make_mbart, [], ["</s>", "de_DE"]),
    "nllb": (make_nllb, ["deu_Latn"], ["</s>"]),
    "t5": (make_t5, [], ["</s>"]),
    "byt5": (t.ByT5Tokenizer, [], ["</s>"]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_target_begins_and_ends_as_the_tokenizer_writes_it(name):
    make, before, after = FRAMES[name]
    tokenizer = make()
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in find_target_frame(tokenizer)] == [before, after]
    encoder = Encoder(tokenizer, "encoder-decoder", LIMITS)
    for source, target in PAIRS:
        encoded = encoder.encode(Text("", source, "", target))
        assert encoded.response == tokenizer(text_target=target)["input_ids"]
        assert encoded.prompt == tokenizer(source)["input_ids"]
    assert tokenizer.eos_token_id in encoder.find_stops(None, chat=False).tokens


@pytest.mark.parametrize("name", FRAMES)
def test_a_target_that_is_cut_keeps_its_beginning_and_its_end(name):
    tokenizer = FRAMES[name][0]()
    before, after = find_target_frame(tokenizer)
    encoded = Encoder(tokenizer, "encoder-decoder", Limits(40, 5)).encode(Text("", "ab", "", "abcdefghijkl"))
    assert encoded.cut
    assert len(encoded.response) == 5
    assert encoded.response[: len(before)] == before
    assert encoded.response[-len(after) :] == after


def make_model(name, tokenizer):
    size = {"d_model": 32, "vocab_size": len(tokenizer), "dropout": 0.0, "decoder_start_token_id": 2}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": 0}
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64}
    torch.manual_seed(0)
    if name in ("t5", "byt5"):
        config = t.T5Config(
            d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=len(tokenizer), dropout_rate=0.0,
            decoder_start_token_id=tokenizer.pad_token_id, **ids,
        )  # fmt: skip
        return t.T5ForConditionalGeneration(config).eval()
    kinds = {
        "bart": (t.BartConfig, t.BartForConditionalGeneration),
        "nllb": (t.M2M100Config, t.M2M100ForConditionalGeneration),
    }
    config, model = kinds.get(name, (t.MBartConfig, t.MBartForConditionalGeneration))
    return model(config(**size, **ids, **layers, **widths)).eval()


@pytest.mark.parametrize("name", FRAMES)
def test_the_loss_is_the_one_that_transformers_computes_in_the_usual_way(name):
    tokenizer = FRAMES[name][0]()
    model = make_model(name, tokenizer)
    usual = tokenizer(
        [source for source, _ in PAIRS], text_target=[to for _, to in PAIRS], padding=True, return_tensors="pt"
    )
    usual["labels"] = usual["labels"].masked_fill(usual["labels"] == tokenizer.pad_token_id, IGNORED)
    encoder = Encoder(tokenizer, "encoder-decoder", LIMITS)
    ours = encoder.training_batch(encoder.encode_all([Text("", source, "", target) for source, target in PAIRS]))
    with torch.no_grad():
        right = model(**{name: usual[name] for name in ("input_ids", "attention_mask", "labels")}).loss
        assert compute_loss(model, ours) == pytest.approx(right.item(), abs=1e-5)


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("word", ["</s>", "<pad>", "<|im_end|>"])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("family", ["decoder-only", "encoder-decoder"])
def test_control_tokens_in_data_are_text(tokenizer, family, chat, word):
    tokenizer = copy.deepcopy(tokenizer)  # other tests use it, too
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    encoder = Encoder(tokenizer, family, Limits(200, 60))
    said = f"the fox {word} jumps"
    encoded = encoder.encode(Text("Say: ", said, " Now:", said, chat))
    assert tokenizer.decode(encoded.response, skip_special_tokens=True) == said
    assert said in tokenizer.decode(encoded.prompt, skip_special_tokens=True)
    control = set(tokenizer.all_special_ids)
    plain = encoder.encode(Text("Say: ", "the fox jumps", " Now:", "the fox jumps", chat))
    for ids, usual in ((encoded.prompt, plain.prompt), (encoded.response, plain.response)):
        assert [i for i in ids if i in control] == [i for i in usual if i in control]


def test_text_beside_text_with_control_tokens_is_encoded_as_it_is_alone(tokenizer):
    encoder = Encoder(tokenizer, "decoder-only", LIMITS)
    plain, odd = Text("Say: ", "fox", "", "dog"), Text("Say: ", "a </s> b", "", "dog </s>")
    assert encoder.encode_all([plain, odd]) == [encoder.encode(plain), encoder.encode(odd)]

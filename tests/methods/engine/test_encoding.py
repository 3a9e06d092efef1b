"""Encoding: what is cut, what carries loss, and where padding stands."""

from __future__ import annotations

import pytest

from methods.base import Limits, Text
from methods.engine.encoding import IGNORED, Encoder
from methods.errors import UnsupportedError

FAMILIES = ("decoder-only", "encoder-decoder")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def text(words: int, response: str = "ok", chat: bool = False) -> Text:
    return Text("Do this: ", "word " * words, " End:", response, chat)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_input_is_cut_at_the_input_and_nothing_else(tokenizer, family):
    encoder = Encoder(tokenizer, family, Limits(60, 20))
    encoded = encoder.encode(text(200))
    prompt = tokenizer.decode(encoded.prompt)
    assert encoded.cut
    assert len(encoded.prompt) <= 60
    assert len(encoded.prompt) > 55  # no more is lost than must be
    assert prompt.startswith("Do this: word")
    assert prompt.endswith(" End:")
    assert tokenizer.decode(encoded.response) == "ok</s>"


def test_a_short_input_is_not_cut(tokenizer):
    assert not Encoder(tokenizer, "decoder-only", Limits(60, 20)).encode(text(2)).cut


def test_a_long_target_keeps_its_end_token(tokenizer):
    encoded = Encoder(tokenizer, "decoder-only", Limits(60, 5)).encode(text(2, "abcdefghijklmnop"))
    assert encoded.cut
    assert len(encoded.response) == 5
    assert encoded.response[-1] == tokenizer.eos_token_id


def test_an_instruction_longer_than_the_limit_is_refused(tokenizer):
    with pytest.raises(UnsupportedError, match="the instruction alone is"):
        Encoder(tokenizer, "decoder-only", Limits(3, 5)).encode(text(2))


def test_decoder_only_rows_learn_the_response_and_its_end_alone(tokenizer):
    encoder = Encoder(tokenizer, "decoder-only", Limits(60, 20))
    short, long = encoder.encode(text(1, "hi")), encoder.encode(text(4, "hello"))
    batch = encoder.training_batch([short, long])
    labels = batch["labels"][0].tolist()
    wanted = [token for token in labels if token != IGNORED]
    assert wanted == short.response
    assert labels[: len(short.prompt)] == [IGNORED] * len(short.prompt)
    used = len(short.prompt) + len(short.response)
    assert batch["attention_mask"][0].tolist() == [1] * used + [0] * (batch["input_ids"].shape[1] - used)


def test_generation_pads_left_for_decoder_only_and_right_for_encoders(tokenizer):
    for family, side in (("decoder-only", 0), ("encoder-decoder", -1)):
        encoder = Encoder(tokenizer, family, Limits(60, 20))
        batch = encoder.generation_batch([encoder.encode(text(1)), encoder.encode(text(4))])
        assert batch["input_ids"][0, side] == tokenizer.pad_token_id
        assert batch["attention_mask"][0, side] == 0


def test_the_chat_template_frames_the_prompt_and_ends_the_response(tokenizer):
    import copy

    chatty = copy.deepcopy(tokenizer)
    chatty.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    chatty.chat_template = CHATML
    encoder = Encoder(chatty, "decoder-only", Limits(80, 20))
    encoded = encoder.encode(text(2, chat=True))
    assert chatty.decode(encoded.prompt) == (
        "<|im_start|>user\nDo this: word word  End:<|im_end|>\n<|im_start|>assistant\n"
    )
    assert chatty.decode(encoded.response) == "ok<|im_end|>"
    stops = encoder.find_stops(None, chat=True)
    assert set(stops.tokens) == {chatty.eos_token_id, chatty.convert_tokens_to_ids("<|im_end|>")}
    # `full` writes plain pairs, whatever the tokenizer has
    assert chatty.decode(encoder.encode(text(2)).response) == "ok</s>"


def test_a_tokenizer_without_a_pad_token_is_refused(tokenizer):
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.pad_token = None
    with pytest.raises(UnsupportedError, match="pad"):
        Encoder(bare, "decoder-only", Limits(60, 20))

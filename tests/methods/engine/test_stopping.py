"""What training teaches as the end of an answer is what generation stops at: in evaluation and in sampling alike."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness.contract import tiny
from harness.models.transformers_backend import generate
from harness.request import Decoding
from methods.base import Budget, Example, Limits, Setting, TrainingJob
from methods.engine.encoding import Encoder
from methods.engine.stopping import Stops
from methods.registry import build
from methods.rlhf.rollouts import sample_responses
from methods.types import ModelFacts

from .templates import CONVENTIONS, make_tokenizer

LIMITS = Limits(100, 40)
ANSWERS = ("dog", "the quick brown fox > jumps", "a <b>lazy</b> <|im_")
EXAMPLES = [Example(str(i), "abc"[i % 3] * (1 + 3 * (i % 3)), (ANSWERS[i % 3],)) for i in range(24)]
CASES = ("phi", "glm", "alpaca", "chatml-in-pieces", "no-end-at-all")
# Both kinds of methods, and a plain one on a model whose template it does not use.
TRAINED = [("instruction", name) for name in CASES] + [("full", "chatml-in-pieces")]


@pytest.fixture(scope="module", params=TRAINED, ids=lambda p: "-".join(p))
def trained(request):
    """(method, model, encoder) of a tiny model that has learned to give the answers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    name, convention = request.param
    case = next(case for case in CONVENTIONS if case.name == convention)
    tokenizer = make_tokenizer(case.template, case.tokens)
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), initializer_range=0.1, **sizes, **ids))
    method = build(name, {"learning_rate": 5e-3})
    facts = ModelFacts("tiny", "decoder-only", "LlamaForCausalLM", "cpu")
    setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, ("{input}: ",), LIMITS, 0)
    job = TrainingJob(
        model=method.prepare(model, setting), tokenizer=tokenizer, facts=facts, examples=EXAMPLES, validation=(),
        templates=("{input}: ",), budget=Budget("steps", 50), limits=LIMITS, batch_size=12, accumulation=1, seed=0,
        dtype=torch.float32, emit=lambda _: None, clock=lambda: 0.0,
    )  # fmt: skip
    method.train(job)
    return method, job.model.eval(), Encoder(tokenizer, "decoder-only", LIMITS)


def test_answers_end_where_training_said(trained):
    method, model, encoder = trained
    encoded = encoder.encode_all([method.write(example, ("{input}: ",), 0) for example in EXAMPLES[:9]])
    found = generate(method, model, encoder, encoded, Decoding(max_new_tokens=40, batch_size=6), lambda _: None)
    assert [answer.text for answer in found] == [example.target for example in EXAMPLES[:9]]
    assert [answer.tokens for answer in found] == [len(row.response) for row in encoded]
    assert all(answer.finished for answer in found)

    rollouts = sample_responses(model, encoder, encoded, method.generate, samples=1, temperature=0)
    assert rollouts.texts == [example.target for example in EXAMPLES[:9]]
    assert [row.response for row in rollouts.rows()] == [row.response for row in encoded]
    assert rollouts.ended.all()


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("width", [2, 3, 7])
def test_a_text_stops_each_row_where_it_is_complete(family, width):
    """Against the same model's answers without a stop, cut afterwards."""
    tokenizer, model = tiny.tokenizer(), tiny.model(family)
    encoder = Encoder(tokenizer, family, tiny.LIMITS)
    method = build("base", {})
    encoded = encoder.encode_all([method.write(example, tiny.TEMPLATES, 0) for example in tiny.EXAMPLES[:6]])
    batch = encoder.generation_batch(encoded)
    settings = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    skip = 1 if family == "encoder-decoder" else batch["input_ids"].shape[1]
    free = model.generate(**batch, **settings, suppress_tokens=[0, 1])[:, skip:].tolist()
    ids = free[0][10 : 10 + width]
    stops = Stops((1,), (tokenizer.decode(ids),))
    made = model.generate(**batch, **settings, suppress_tokens=[0, 1], **stops.make_settings(tokenizer))[
        :, skip:
    ].tolist()
    for row, whole in zip(made, free, strict=True):
        answer = stops.read_answer(tokenizer, row)
        text = tokenizer.decode(whole)
        assert answer.ended == (stops.texts[0] in text)
        assert answer.text == text.partition(stops.texts[0])[0].strip()
        assert answer == stops.read_answer(tokenizer, whole)
        assert row[: answer.tokens] == whole[: answer.tokens]
        assert set(row[answer.tokens :]) <= {tokenizer.pad_token_id}
    assert any(stops.read_answer(tokenizer, row).ended for row in made)


def test_the_end_is_no_part_of_an_answer_even_where_it_is_a_pad_too():
    tokenizer = make_tokenizer(None)
    ids = tokenizer("dog")["input_ids"]
    assert dataclasses.astuple(Stops((0, 2)).read_answer(tokenizer, [*ids, 2, 0, 0])) == ("dog", len(ids) + 1, True)
    assert dataclasses.astuple(Stops((0, 2)).read_answer(tokenizer, ids)) == ("dog", len(ids), False)
    assert dataclasses.astuple(Stops((2,)).read_answer(tokenizer, [2, *ids])) == ("", 1, True)
    end = tokenizer("<end>")["input_ids"]
    found = Stops((0, 2), ("<end>",)).read_answer(tokenizer, [*ids, *end, 2, 2, 2])
    assert dataclasses.astuple(found) == ("dog", len(ids) + len(end), True)

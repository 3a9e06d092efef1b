"""The loss over targets beside the one that the models compute themselves, and what it saves."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness.measure.memory import TensorPeak
from methods.base import Example, Limits, ModelFacts, Setting
from methods.engine.encoding import Encoded, Encoder
from methods.engine.loss import compute_loss, compute_row_losses
from methods.registry import build

ROWS = [Encoded(list(range(10, 10 + n)), [*range(40, 40 + m), 1], cut=False) for n, m in ((30, 5), (18, 9), (25, 1))]
EXAMPLES = (Example("1", "the quick brown fox", ("the dog",)),)


@pytest.fixture(params=["decoder-only", "encoder-decoder"])
def family(request):
    return request.param


@pytest.fixture
def batch(tokenizer, family):
    return Encoder(tokenizer, family, Limits(64, 16)).training_batch(ROWS)


@pytest.mark.parametrize("method", ["full", "lora", "prefix"])
def test_loss_and_gradients_are_those_of_the_model_itself(tiny_model, tokenizer, family, batch, method):
    torch.manual_seed(0)
    facts = ModelFacts("tiny", family, "Tiny", "cpu")
    setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, ("{input}",), Limits(64, 16), seed=0)
    model = build(method).prepare(tiny_model(family), setting).eval()
    trainable = [p for p in model.parameters() if p.requires_grad]

    expected = model(**batch, use_cache=False).loss
    found = compute_loss(model, batch)

    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    pairs = zip(torch.autograd.grad(found, trainable), torch.autograd.grad(expected, trainable), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_no_logits_are_made_for_prompts(tokenizer):
    words, width, targets = 5000, 202, 2
    config = LlamaConfig(
        vocab_size=words, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config).eval()
    batch = Encoder(tokenizer, "decoder-only", Limits(256, 16)).training_batch([Encoded([10] * 200, [40, 1], False)])
    peaks = {}
    for name in ("ours", "the model's"):
        with torch.no_grad(), TensorPeak() as watch:
            loss = compute_loss(model, batch) if name == "ours" else model(**batch, use_cache=False).loss
        assert loss.ndim == 0
        peaks[name] = watch.peak
    assert peaks["the model's"] > width * words * 4  # logits of every position, in float32
    assert peaks["ours"] < 10 * (targets + 1) * words * 4


def test_a_row_without_a_prompt_predicts_all_but_its_first_token(tiny_model, tokenizer):
    model = tiny_model("decoder-only")
    batch = Encoder(tokenizer, "decoder-only", Limits(64, 16)).training_batch([Encoded([], [40, 41, 1], False)])
    assert compute_loss(model, batch).item() == pytest.approx(model(**batch).loss.item(), rel=1e-5)


def test_a_model_that_cannot_leave_out_logits_has_the_same_loss(tiny_model, tokenizer):
    batch = Encoder(tokenizer, "decoder-only", Limits(64, 16)).training_batch(ROWS)
    model = tiny_model("decoder-only")

    class Whole(torch.nn.Module):
        config = model.config

        def forward(self, input_ids, attention_mask, use_cache):
            return model(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    assert compute_loss(Whole(), batch).item() == pytest.approx(compute_loss(model, batch).item(), rel=1e-5)


@pytest.mark.parametrize("method", ["full", "prefix"])
def test_losses_of_rows_are_those_of_rows_by_themselves(tiny_model, tokenizer, family, method):
    torch.manual_seed(0)
    facts = ModelFacts("tiny", family, "Tiny", "cpu")
    setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, ("{input}",), Limits(64, 16), seed=0)
    model = build(method).prepare(tiny_model(family), setting).eval()
    encoder = Encoder(tokenizer, family, Limits(64, 16))
    with torch.no_grad():
        together = compute_row_losses(model, encoder.training_batch(ROWS)).tolist()
        apart = [compute_loss(model, encoder.training_batch([row])).item() * len(row.response) for row in ROWS]
    assert together == pytest.approx(apart, rel=1e-4)

"""Log-probabilities of sampled tokens are those that they were sampled with, and those of a direct forward pass."""

from __future__ import annotations

import math

import pytest
import torch

from methods.engine.encoding import Encoder
from methods.rlhf.rollouts import Rollouts, compute_log_probs, sample_responses

from .conftest import EXAMPLES, LIMITS, TEMPLATES

FAMILIES = ("decoder-only", "encoder-decoder")
WRAPPED = {"all weights": ("rlhf", {"peft": "none"}), "lora": ("rlhf", {}), "prefix": ("prefix", {})}


@pytest.fixture(params=[(family, how) for family in FAMILIES for how in WRAPPED], ids=lambda p: f"{p[0]}, {p[1]}")
def policy(request, make_job):
    """(model, encoder, encoded prompts of four lengths, family) with an adapter that does something."""
    family, how = request.param
    name, knobs = WRAPPED[how]
    method, job = make_job(family, name, knobs)
    torch.manual_seed(1)
    for parameter in job.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    encoder = Encoder(job.tokenizer, family, LIMITS)
    encoded = encoder.encode_all([method.write(example, TEMPLATES, 0) for example in EXAMPLES[:4]])
    assert len({len(item.prompt) for item in encoded}) > 1  # there is padding
    return job.model.eval(), encoder, encoded, family


def generate(model, inputs, **decoding):
    return model.generate(**inputs, **decoding)


def directly(model, row, family):
    """Log-probabilities of one response, token by token, in a forward pass of its own without any padding."""
    prompt, response = torch.tensor([row.prompt]), torch.tensor([row.response])
    with torch.no_grad():
        if family == "encoder-decoder":
            start = torch.tensor([[model.config.decoder_start_token_id]])
            decoder = torch.cat([start, response[:, :-1]], 1)
            logits = model(input_ids=prompt, decoder_input_ids=decoder, use_cache=False).logits[0]
        else:
            whole = torch.cat([prompt, response], 1)
            logits = model(input_ids=whole, use_cache=False).logits[0, prompt.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(1, response[0].unsqueeze(1))[:, 0]


def test_they_equal_a_direct_forward_pass(policy):
    model, encoder, encoded, family = policy
    torch.manual_seed(0)
    rollouts = sample_responses(model, encoder, encoded, generate, samples=2, temperature=1.0)
    with torch.no_grad():
        found = compute_log_probs(model, rollouts, family).log_probs
    for row, values in zip(rollouts.rows(), found, strict=True):
        expected = directly(model, row, family)
        torch.testing.assert_close(values[: len(expected)], expected, rtol=1e-4, atol=1e-4)
        assert not values[len(expected) :].any()


def test_they_are_what_the_tokens_were_sampled_with(policy):
    model, encoder, encoded, family = policy
    seen = {}

    def seeing(model, inputs, **decoding):
        output = model.generate(**inputs, **decoding, return_dict_in_generate=True, output_logits=True)
        seen["logits"] = torch.stack(output.logits, 1)
        return output.sequences

    torch.manual_seed(0)
    rollouts = sample_responses(model, encoder, encoded, seeing, samples=2, temperature=0.7)
    with torch.no_grad():
        found = compute_log_probs(model, rollouts, family, temperature=0.7).log_probs
    logs = (seen["logits"].float() / 0.7).log_softmax(-1).gather(2, rollouts.responses.unsqueeze(2))[..., 0]
    torch.testing.assert_close(found, logs * rollouts.mask, rtol=1e-4, atol=1e-4)


def test_a_slice_says_what_the_whole_says(policy):
    model, encoder, encoded, family = policy
    torch.manual_seed(0)
    rollouts = sample_responses(model, encoder, encoded, generate, samples=2, temperature=1.0)
    with torch.no_grad():
        whole = compute_log_probs(model, rollouts, family, entropy=True)
        part = compute_log_probs(model, rollouts.slice(2, 5), family, entropy=True)
    width = part.log_probs.shape[1]
    torch.testing.assert_close(part.log_probs, whole.log_probs[2:5, :width], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(part.entropy, whole.entropy[2:5, :width], rtol=1e-4, atol=1e-4)


def test_given_responses_are_scored_in_the_same_way(policy):
    model, encoder, encoded, family = policy
    rollouts = Rollouts.of(encoder, encoded, "cpu")
    assert [row.response for row in rollouts.rows()] == [item.response for item in encoded]
    assert [row.prompt for row in rollouts.rows()] == [item.prompt for item in encoded]
    with torch.no_grad():
        found = compute_log_probs(model, rollouts, family).log_probs
    for row, values in zip(encoded, found, strict=True):
        torch.testing.assert_close(values[: len(row.response)], directly(model, row, family), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_knows_nothing_has_the_entropy_of_its_vocabulary(make_job, family):
    method, job = make_job(family, knobs={"peft": "none"})
    job.model.get_output_embeddings().weight.data.zero_()
    encoder = Encoder(job.tokenizer, family, LIMITS)
    encoded = encoder.encode_all([method.write(example, TEMPLATES, 0) for example in EXAMPLES[:3]])
    torch.manual_seed(0)
    rollouts = sample_responses(job.model, encoder, encoded, generate, samples=2, temperature=1.0)
    with torch.no_grad():
        found = compute_log_probs(job.model, rollouts, family, entropy=True)
    real = rollouts.mask.bool()
    expected = math.log(job.model.config.vocab_size)
    torch.testing.assert_close(found.entropy[real], torch.full_like(found.entropy[real], expected))
    torch.testing.assert_close(found.log_probs[real], torch.full_like(found.log_probs[real], -expected))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_response_ends_with_its_first_end_token(make_job, family):
    method, job = make_job(family)
    encoder = Encoder(job.tokenizer, family, LIMITS)
    encoded = encoder.encode_all([method.write(example, TEMPLATES, 0) for example in EXAMPLES[:2]])
    end, pad = job.tokenizer.eos_token_id, job.tokenizer.pad_token_id

    def known(model, inputs, **decoding):
        rows = inputs["input_ids"] if family == "decoder-only" else torch.full((2, 1), pad)
        return torch.cat([rows, torch.tensor([[40, 41, end, 42], [50, 51, 52, 53]])], 1)

    rollouts = sample_responses(job.model, encoder, encoded, known, samples=1, temperature=1.0)
    assert rollouts.mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert rollouts.ended.tolist() == [True, False]
    assert rollouts.responses[0].tolist() == [40, 41, end, pad]
    assert rollouts.tokens == 7
    assert rollouts.texts == [job.tokenizer.decode([40, 41]).strip(), job.tokenizer.decode([50, 51, 52, 53]).strip()]

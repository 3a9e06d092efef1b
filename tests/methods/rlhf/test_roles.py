"""Policy, reference and reward model over one set of base weights, or over copies of all weights."""

from __future__ import annotations

import pytest
import torch

from methods.rlhf.roles import POLICY, REFERENCE, REWARD, Roles

FAMILIES = ("decoder-only", "encoder-decoder")
IDS = torch.arange(40, 48).unsqueeze(0)


def logits(model):
    inputs = {"input_ids": IDS}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS[:, :4]
    with torch.no_grad():
        return model(**inputs, use_cache=False).logits


@pytest.fixture(params=[(family, peft) for family in FAMILIES for peft in ("lora", "none")], ids=str)
def model(request, make_job):
    family, peft = request.param
    _, job = make_job(family, knobs={"peft": peft})
    move(job.model)
    return job.model.eval()


def move(model):
    torch.manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)


def test_the_reference_stays_while_the_policy_moves(model):
    roles = Roles(model)
    roles.keep(REFERENCE)
    before = logits(model)
    move(model)
    assert not torch.allclose(logits(model), before, atol=1e-3)
    with roles.playing(REFERENCE) as reference:
        torch.testing.assert_close(logits(reference), before)
    moved = logits(model)
    roles.drop(REFERENCE)
    torch.testing.assert_close(logits(model), moved)


def test_training_one_role_moves_no_other(model):
    roles = Roles(model)
    roles.keep(REFERENCE)
    roles.keep(REWARD)
    before = logits(model)
    with roles.playing(REWARD, train=True) as body:
        trained = [p for p in body.parameters() if p.requires_grad]
        assert trained
        with roles.playing(REFERENCE):  # measuring something in between does not end the training
            pass
        assert all(p.requires_grad for p in trained)
        move(body)
        assert not torch.allclose(logits(body), before, atol=1e-3)
    torch.testing.assert_close(logits(model), before)
    with roles.playing(REFERENCE) as reference:
        torch.testing.assert_close(logits(reference), before)


def test_only_the_policy_trains_and_only_it_is_left(model):
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    roles = Roles(model)
    roles.keep(REFERENCE)
    roles.keep(REWARD)
    with roles.playing(REWARD, train=True):
        pass
    assert [name for name, p in model.named_parameters() if p.requires_grad] == trainable
    roles.drop(REFERENCE)
    roles.drop(REWARD)
    if roles.adapters:
        assert list(model.peft_config) == [POLICY]
    assert [name for name, p in model.named_parameters() if p.requires_grad] == trainable


def test_an_adapter_needs_no_second_copy_of_the_base(make_job):
    _, job = make_job(knobs={"peft": "lora"})
    total = sum(p.numel() for p in job.model.parameters())
    adapter = sum(p.numel() for p in job.model.parameters() if p.requires_grad)
    Roles(job.model).keep(REFERENCE)
    assert sum(p.numel() for p in job.model.parameters()) == total + adapter

"""Methods that train a part of the model's own weights: which part, and that nothing else ships."""

from __future__ import annotations

import json

import pytest

from harness.contract import Case, tiny
from harness.contract.cases import facts
from methods.base import Setting
from methods.errors import InvalidSettingError, UnsupportedError
from methods.registry import build


def trained(method, model, settings=None):
    import torch

    setting = Setting(
        facts("decoder-only"), torch.float32, tiny.tokenizer(), tiny.EXAMPLES, tiny.TEMPLATES, tiny.LIMITS, 0
    )
    prepared = build(method, settings).prepare(model, setting)
    return {name: p.numel() for name, p in prepared.named_parameters() if p.requires_grad}


def bart():
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64}
    return BartForConditionalGeneration(BartConfig(vocab_size=300, **sizes, **widths)).eval()


@pytest.mark.parametrize(
    ("method", "family", "parameters"),
    [
        # Llama: 2 blocks with 2 norms each and one at the end, all 64 wide.
        ("layernorm", "decoder-only", 5 * 64),
        # T5: 3 blocks with 2 norms, 2 with 3, and one at the end of each stack.
        ("layernorm", "encoder-decoder", 14 * 64),
        # q 64, k 32, v 32, o 64, gate 128, up 128, down 64, twice.
        ("bitfit", "decoder-only", 2 * 512),
        # Attention 32 + 32 + 32 + 64, feed-forward 128 + 64: 3 blocks with one attention, 2 with two.
        ("bitfit", "encoder-decoder", 3 * 352 + 2 * 512),
    ],
)
def test_how_much_trains(method, family, parameters):
    assert sum(trained(method, tiny.model(family)).values()) == parameters


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("decoder-only", ("model.layers.1.", "model.norm.")),
        ("encoder-decoder", ("decoder.block.1.", "decoder.final_layer_norm.")),
    ],
)
def test_last_layers_are_the_decoders_last_block_and_the_norm_after_it(family, parts):
    found = trained("last-layers", tiny.model(family), {"n": 1})
    expected = {name for name, _ in tiny.model(family).named_parameters() if name.startswith(parts)}
    assert set(found) == expected


def test_a_norm_of_embeddings_is_no_last_layer():
    found = trained("last-layers", bart(), {"n": 2})
    assert {name.split(".")[2] for name in found} == {"layers"}


def test_more_layers_than_there_are_is_one_sentence():
    with pytest.raises(UnsupportedError, match=r"^last-layers\.n is 3, and the model has 2 blocks$"):
        trained("last-layers", tiny.model("decoder-only"), {"n": 3})
    with pytest.raises(UnsupportedError, match=r"the model has 2 decoder blocks$"):
        trained("last-layers", tiny.model("encoder-decoder"), {"n": 3})


def test_bitfit_adds_biases_that_change_nothing_by_themselves(tmp_path):
    import torch

    case = Case("bitfit", "decoder-only", tmp_path)
    assert torch.equal(case.logits(case.prepared()), case.logits(case.base()))


def test_bitfit_to_the_letter_takes_the_models_own_biases():
    own = {name for name, _ in bart().named_parameters() if name.endswith("bias")}
    assert len(own) > 20
    assert set(trained("bitfit", bart(), {"add": False})) == own
    assert set(trained("bitfit", bart())) == own  # nothing was missing
    with pytest.raises(UnsupportedError, match=r"nothing to train: LlamaForCausalLM has no biases"):
        trained("bitfit", tiny.model("decoder-only"), {"add": False})


@pytest.mark.parametrize("method", ["bitfit", "layernorm", "last-layers"])
def test_only_what_changed_ships(tmp_path, method):
    from safetensors.torch import load_file

    case = Case(method, "decoder-only", tmp_path, {"n": 1} if method == "last-layers" else {})
    model = case.prepared()
    case.train(model, 1)
    case.method.save(model, tmp_path / "shipped")
    expected = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(load_file(tmp_path / "shipped" / "changed.safetensors")) == expected
    about = json.loads((tmp_path / "shipped" / "changed.json").read_text())
    assert about["architecture"] == "LlamaForCausalLM"
    assert about["method"] == method
    with pytest.raises(InvalidSettingError, match=r"not a weight of this T5ForConditionalGeneration.*LlamaForCausalLM"):
        case.method.load(tiny.model("encoder-decoder"), tmp_path / "shipped")


@pytest.mark.parametrize("method", ["bitfit", "layernorm", "last-layers"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_weights_in_float32_meet_a_model_in_16_bits(tmp_path, method, family):
    """Training holds what trains in float32; answers must come out all the same, before and after shipping."""
    import torch

    from methods.engine.training import cast_trainable_to_float32

    case = Case(method, family, tmp_path)
    setting = case.setting
    model = case.method.prepare(tiny.model(family).to(torch.bfloat16), setting)
    cast_trainable_to_float32(model)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    answers = case.answers(model, 6)
    case.method.save(model, tmp_path / "shipped")
    again = case.method.load(tiny.model(family).to(torch.bfloat16), tmp_path / "shipped")
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16}
    assert case.answers(again, 6) == answers

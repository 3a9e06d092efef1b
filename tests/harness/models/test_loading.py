"""Models come into memory the same way whatever they are, and a broken one is a sentence."""

from __future__ import annotations

import json

import pytest
import torch

from harness.errors import ModelError
from harness.models.loading import load_model
from harness.models.source import resolve_model


@pytest.fixture
def saved(tmp_path, tiny_model, tokenizer):
    """A function that saves a tiny model of a family with a tokenizer, and returns its folder."""

    def save(family="decoder-only", **generation):
        folder = tmp_path / "tiny"
        model = tiny_model(family)
        for name, value in generation.items():
            setattr(model.generation_config, name, value)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


def bring(folder, dtype=torch.float32):
    return load_model(resolve_model(str(folder)), device="cpu", dtype=dtype, options={})


@pytest.mark.parametrize("family", ["decoder-only", "encoder-decoder"])
def test_weights_come_as_they_were_saved(saved, tiny_model, family):
    model, tokenizer = bring(saved(family))
    assert not model.training
    for name, tensor in tiny_model(family).state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    assert tokenizer.pad_token == "<pad>"


def test_the_dtype_is_the_one_that_was_asked_for(saved):
    model, _ = bring(saved(), torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_the_makers_sampling_settings_are_put_aside_and_special_tokens_kept(saved):
    folder = saved(do_sample=True, temperature=0.2, top_k=7, repetition_penalty=1.3, num_beams=3, bos_token_id=5)
    config = bring(folder)[0].generation_config
    assert (config.do_sample, config.num_beams) in ((False, 1), (None, None), (False, None), (None, 1))
    assert config.temperature in (None, 1.0)
    assert config.repetition_penalty in (None, 1.0)
    assert config.bos_token_id == 5
    assert config.pad_token_id == 0


def test_a_tokenizer_without_pad_token_pads_with_its_end_token(saved):
    folder = saved()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    _, tokenizer = bring(folder)
    assert tokenizer.pad_token == tokenizer.eos_token == "</s>"


def test_a_tokenizer_without_end_token_is_refused(saved):
    folder = saved()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no end token"):
        bring(folder)


def test_broken_weights_are_a_sentence_without_a_path(saved):
    folder = saved()
    weights = folder / "model.safetensors"
    source = resolve_model(str(folder))
    weights.write_bytes(weights.read_bytes()[:1000])  # after it was found to be whole
    with pytest.raises(ModelError) as caught:
        load_model(source, device="cpu", dtype=torch.float32, options={})
    assert "tiny cannot be loaded" in str(caught.value)
    assert str(folder.parent) not in str(caught.value)


def test_weights_that_lack_a_layer_are_refused_and_not_made_up(saved):
    folder = saved()
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    config.pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"9 weights are missing, such as model\.layers\.2"):
        bring(folder)

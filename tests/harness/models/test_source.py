"""What the user calls a model, and what comes of it: presets, directories, hub ids, and each way to be wrong."""

from __future__ import annotations

import json

import pytest

from harness.errors import ModelError
from harness.models.presets import PRESETS
from harness.models.source import resolve_model

WEIGHTS = b"\2\0\0\0\0\0\0\0{}"
"""A whole safetensors file without tensors: the length of its header, and the header."""
LLAMA = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 256}


@pytest.fixture
def directory(tmp_path):
    """A folder with a config and (empty) weights; `write` changes the config."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_embedded_models_are_both_families():
    decoder, seq2seq = resolve_model("embedded"), resolve_model("embedded-seq2seq")
    assert (decoder.family, decoder.architecture) == ("decoder-only", "LlamaForCausalLM")
    assert (seq2seq.family, seq2seq.architecture) == ("encoder-decoder", "T5ForConditionalGeneration")
    for source in (decoder, seq2seq):
        assert source.kind == "embedded"
        assert source.dtype == "float32"
        assert "to try the harness, not to choose a method" in source.note


def test_the_presets_that_were_promised_are_there():
    assert {"embedded", "embedded-seq2seq", "google/flan-t5-base", "smollm2-135m-instruct"} <= set(PRESETS)
    for preset in PRESETS.values():
        assert [preset.folder, preset.hub, preset.source].count(None) == 2


def test_a_directory_is_known_by_its_last_part_and_its_content(directory, monkeypatch):
    source = resolve_model(str(directory))
    assert (source.name, source.kind, source.family) == ("my-model", "directory", "decoder-only")
    assert source.context == 256
    monkeypatch.chdir(directory.parent)
    assert resolve_model("my-model") == source
    (directory / "model.safetensors").write_bytes(WEIGHTS.replace(b"{}", b"  {}").replace(b"\2", b"\4"))
    assert resolve_model("my-model").revision != source.revision


@pytest.mark.parametrize(
    ("config", "family", "context"),
    [
        ({"architectures": ["GPT2LMHeadModel"], "n_positions": 1024}, "decoder-only", 1024),
        (
            {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True, "n_positions": 512},
            "encoder-decoder",
            None,
        ),
        (
            {
                "architectures": ["BartForConditionalGeneration"],
                "is_encoder_decoder": True,
                "max_position_embeddings": 1024,
            },
            "encoder-decoder",
            1024,
        ),
    ],
)
def test_family_and_context_come_from_the_config(directory, config, family, context):
    (directory / "config.json").write_text(json.dumps(config))
    source = resolve_model(str(directory))
    assert (source.family, source.context) == (family, context)


def test_what_is_wrong_with_a_directory_is_said_in_one_sentence(directory):
    def complaint():
        with pytest.raises(ModelError) as caught:
            resolve_model(str(directory))
        text = str(caught.value)
        assert "my-model" in text
        assert str(directory.parent) not in text
        return text

    (directory / "tokenizer.json").rename(directory / "elsewhere")
    assert "no tokenizer beside the weights" in complaint()
    (directory / "elsewhere").rename(directory / "tokenizer.json")
    config, weights = directory / "config.json", directory / "model.safetensors"
    weights.write_bytes(WEIGHTS[:5])
    assert "model.safetensors is truncated" in complaint()
    weights.rename(directory / "pytorch_model.bin")
    assert "could run code" in complaint()
    (directory / "pytorch_model.bin").unlink()
    assert "no weights" in complaint()
    (directory / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-1-of-2.safetensors"}})
    )
    assert "1 of 1 weight files are missing" in complaint()
    (directory / "model.safetensors.index.json").write_text("[]")
    assert "cannot be read" in complaint()
    config.write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    assert "BertForMaskedLM does not generate text" in complaint()
    config.write_text("{}")
    assert "no architecture" in complaint()
    config.write_text('{"architectures": ')
    assert "config.json cannot be read" in complaint()
    config.unlink()
    assert "no config.json" in complaint()
    (directory / "adapter_config.json").write_text("{}")
    assert "give its base model" in complaint()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embeded", "did you mean embedded"),
        ("./nowhere", "an existing directory|a directory"),
        ("a/b/c", "unknown model"),
        ("", "unknown model"),
        ("../../etc", "unknown model|no config.json"),
    ],
)
def test_an_unknown_name_is_answered_with_what_could_be_meant(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "":
        name = " "
    with pytest.raises(ModelError, match=message):
        resolve_model(name)


def test_a_file_is_not_a_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file"):
        resolve_model(str(tmp_path / "model.gguf"))


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"some-org/some-model@v2 is not on this machine and the hub is out of reach"):
        resolve_model("some-org/some-model@v2")
    with pytest.raises(ModelError, match="models pull smollm2-135m-instruct"):
        resolve_model("smollm2-135m-instruct")

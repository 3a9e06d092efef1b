"""Parameter counts of models whose numbers can be worked out on paper."""

from __future__ import annotations

import pytest
import torch

from harness.measure.parameters import count_bytes, count_parameters


def test_a_model_that_can_be_counted_by_hand():
    model = torch.nn.Sequential(torch.nn.Linear(10, 7), torch.nn.Linear(7, 3, bias=False))
    model[0].weight.requires_grad = False
    assert count_parameters(model) == (7 + 21, 70 + 7 + 21)


def test_tied_weights_count_once():
    model = torch.nn.ModuleList([torch.nn.Linear(5, 5, bias=False), torch.nn.Linear(5, 5, bias=False)])
    model[1].weight = model[0].weight
    assert count_parameters(model) == (25, 25)


@pytest.mark.parametrize("double", [False, True])
def test_packed_4_bit_weights_count_as_what_they_stand_for(double):
    import bitsandbytes

    layer = bitsandbytes.nn.Linear4bit(64, 32, bias=False, quant_type="nf4", compress_statistics=double).to("cpu")
    packed = sum(parameter.numel() for parameter in layer.parameters())
    assert packed == 64 * 32 // 2  # two values a byte
    assert count_parameters(layer) == (0, 64 * 32)


def test_lora_of_rank_r_adds_r_times_the_sum_of_the_widths(tiny_model):
    import peft

    model = tiny_model("decoder-only")
    _, before = count_parameters(model)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    # Width 64, two layers; q: 64 → 64, v: 64 → 32 (two of four heads).
    added = 2 * (4 * (64 + 64) + 4 * (64 + 32))
    assert count_parameters(wrapped) == (added, before + added)


def test_the_size_of_a_directory_is_the_sum_of_its_files(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"x" * 23)
    assert count_bytes(tmp_path) == 123
    assert count_bytes(tmp_path / "none") == 0
    (tmp_path / "README.md").write_bytes(b"x" * 5000)  # PEFT's model card: nobody needs it to load the adapter
    assert count_bytes(tmp_path) == 123


def test_what_an_adapter_ships_is_its_weights_and_its_config(tiny_model, tmp_path):
    import peft

    wrapped = peft.get_peft_model(tiny_model("decoder-only"), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    wrapped.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").is_file()
    sizes = [(tmp_path / name).stat().st_size for name in ("adapter_model.safetensors", "adapter_config.json")]
    header = int.from_bytes((tmp_path / "adapter_model.safetensors").read_bytes()[:8], "little")
    weights = 4 * 2 * (4 * (64 + 64) + 4 * (64 + 32))  # float32
    assert sizes[0] == 8 + header + weights
    assert count_bytes(tmp_path) == sum(sizes)

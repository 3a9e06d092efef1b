"""LoRA's relatives: what each changes, against known values and PEFT's own implementation."""

from __future__ import annotations

import json
import math

import pytest

from harness.contract import Case, tiny
from methods import registry
from methods.adapters.lora_init import START, TRAINED
from methods.errors import InvalidSettingError

Q = "base_model.model.model.layers.0.self_attn.q_proj"


def case(tmp_path, name, **settings):
    return Case(name, "decoder-only", tmp_path, settings)


def peft_model(init):
    import peft
    import torch

    torch.manual_seed(0)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights=init
    )
    return peft.get_peft_model(tiny.model("decoder-only"), config)


def test_rslora_scales_by_alpha_over_the_root_of_r(tmp_path):
    layer = case(tmp_path, "rslora", r=4).prepared().get_submodule(Q)
    assert layer.scaling[TRAINED] == pytest.approx(16 / math.sqrt(4))
    assert case(tmp_path, "lora", r=4).prepared().get_submodule(Q).scaling[TRAINED] == 16 / 4


def test_dora_trains_one_magnitude_for_each_output(tmp_path):
    plain, dora = (
        {n: p for n, p in case(tmp_path, name).prepared().named_parameters() if p.requires_grad}
        for name in ("lora", "dora")
    )
    more = {name: p.numel() for name, p in dora.items() if name not in plain}
    assert sum(more.values()) == 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
    assert all("magnitude" in name for name in more)


def test_lora_plus_lets_b_learn_faster_by_the_ratio(tmp_path):
    import torch

    found = case(tmp_path, "lora-plus", learning_rate=1e-3, lr_ratio=4.0, schedule="constant", warmup=0.0)
    model, made = found.prepared(), []
    inner = type(found.method).optimizer

    class Watched(type(found.method)):
        def optimizer(self, model):
            made.append(inner(self, model))
            return made[0]

    found.__dict__["method"] = Watched(found.method.config)
    found.train(model, 2)
    rates = {id(p): group["lr"] for group in made[0].param_groups for p in group["params"]}
    names = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert len(names) == 28
    assert {rate for name, rate in names.items() if "lora_A" in name} == {1e-3}
    assert {rate for name, rate in names.items() if "lora_B" in name} == {4e-3}
    assert isinstance(made[0], torch.optim.AdamW)


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")  # PEFT 0.19, of what only this test adapts
def test_lora_plus_lets_nothing_but_b_learn_faster(tmp_path):
    """DoRA's magnitudes, a bias and an embedding's adapter keep A's rate; vectors have no weight decay."""
    import torch

    settings = {"lr_ratio": 16, "use_dora": True, "bias": "all", "weight_decay": 0.1}
    found = case(tmp_path, "lora-plus", target_modules="q_proj+embed_tokens", **settings)
    base = tiny.model("decoder-only")
    base.model.layers[0].self_attn.q_proj.bias = torch.nn.Parameter(torch.zeros(64))
    model = found.method.prepare(base, found.setting)
    groups = {id(p): group for group in found.method.optimizer(model).param_groups for p in group["params"]}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(groups) == len(trained)
    kinds = {"lora_A": 1, "lora_B": 16, "lora_magnitude": 1, "bias": 1, "lora_embedding_A": 1, "lora_embedding_B": 1}
    seen = set()
    for name, p in trained.items():
        (kind,) = [kind for kind in kinds if kind in name]
        seen.add(kind)
        group = groups[id(p)]
        assert (group.get("rate_factor", 1), group["weight_decay"]) == (kinds[kind], 0.1 if p.ndim >= 2 else 0), name
    assert seen == set(kinds)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_it_starts_where_pefts_own_does_and_the_base_stays(tmp_path, init):
    import torch

    found = case(tmp_path, "lora", init=init)
    ours, theirs = found.prepared(), peft_model(init)
    for name, layer in ours.named_modules():
        if not hasattr(layer, "lora_A"):
            continue
        other = theirs.get_submodule(name)
        torch.testing.assert_close(layer.lora_A[TRAINED].weight, other.lora_A[TRAINED].weight)
        torch.testing.assert_close(layer.lora_B[TRAINED].weight, other.lora_B[TRAINED].weight)
    base = tiny.model("decoder-only").state_dict()
    for name, layer in ours.get_base_model().named_modules():
        if hasattr(layer, "base_layer"):
            assert torch.equal(layer.base_layer.weight, base[f"{name}.weight"])
    torch.testing.assert_close(found.logits(ours), found.logits(found.base()), rtol=1e-4, atol=1e-4)
    assert not any(p.requires_grad for n, p in ours.named_parameters() if f".{START}." in n)


def test_the_fast_pissa_is_close_to_the_exact_one(tmp_path):
    left = {}
    for init in ("pissa", "pissa_niter_16"):
        layer = case(tmp_path, "lora", init=init).prepared().get_submodule(Q)
        part = layer.scaling[TRAINED] * layer.lora_B[TRAINED].weight @ layer.lora_A[TRAINED].weight
        left[init] = (layer.base_layer.weight - part).norm().item()
    assert left["pissa"] <= left["pissa_niter_16"] < 1.001 * left["pissa"]


@pytest.mark.parametrize(
    ("settings", "alpha"),
    [({"init": "pissa"}, 32), ({"init": "olora"}, 32), ({"init": "pissa", "use_rslora": True}, 16 * 2**0.5)],
)
def test_what_ships_is_plain_lora_of_twice_the_rank_for_the_base_as_it_is(tmp_path, settings, alpha):
    import peft
    import torch

    found = case(tmp_path, "lora", learning_rate=3e-2, **settings)
    model = found.prepared()
    found.train(model, 3)
    found.method.save(model, tmp_path / "shipped")
    config = json.loads((tmp_path / "shipped" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["init_lora_weights"]) == (16, pytest.approx(alpha), True)
    again = peft.PeftModel.from_pretrained(tiny.model("decoder-only"), tmp_path / "shipped")
    torch.testing.assert_close(found.logits(again), found.logits(model), rtol=1e-4, atol=1e-4)
    with again.disable_adapter():
        assert torch.equal(found.logits(again), found.logits(found.base()))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_loftq_starts_as_the_best_low_rank_part_of_what_quantisation_lost(tmp_path, family):
    import torch
    from bitsandbytes.functional import dequantize_4bit

    found = Case("loftq", family, tmp_path, {"r": 4})
    wrapped, full, seen = found.prepared(), tiny.model(family), 0
    for name, layer in wrapped.get_base_model().named_modules():
        if not hasattr(layer, "lora_A") or not hasattr(layer.get_base_layer().weight, "quant_state"):
            continue
        held, seen = layer.get_base_layer().weight, seen + 1
        lost = full.get_submodule(name).weight - dequantize_4bit(held.data, held.quant_state)
        left = lost - layer.scaling[TRAINED] * layer.lora_B[TRAINED].weight @ layer.lora_A[TRAINED].weight
        values = torch.linalg.svdvals(lost)
        assert left.norm().item() == pytest.approx(values[4:].norm().item(), rel=1e-3)
        assert left.norm() < lost.norm()
    assert seen > 10


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("lora", {"init": "loftq"}, "init: must be one of default, gaussian, orthogonal, pissa"),
        ("qlora", {"init": "pissa"}, "init: must be one of default, gaussian, orthogonal, loftq"),
        ("rlhf", {"init": "olora"}, "init: must be one of default, gaussian, orthogonal for"),
        ("dpo", {"lr_ratio": 16}, "lr_ratio: must be 1"),
        ("pissa", {"dropout": 0.1}, "dropout: must be 0 with init=pissa"),
        ("pissa", {"bias": "all"}, "bias: must be none with init=pissa"),
        ("dora", {"init": "olora"}, "use_dora: must be false with init=olora"),
        ("lora", {"init": "orthogonal", "r": 3}, "r: must be even"),
        ("lora-plus", {"lr_ratio": 0}, "lr_ratio: must be above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(method, settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        registry.build(method, settings)


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_16", "olora"])
def test_a_rank_above_a_weights_is_refused(tmp_path, init):
    with pytest.raises(InvalidSettingError, match=r"the rank 100 is above the rank of .*[kq]_proj, which"):
        case(tmp_path, "lora", init=init, r=100).prepared()


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("init", ["gaussian", "orthogonal", "pissa_niter_16", "olora"])
def test_every_start_reloads_and_switches_off(tmp_path, family, init):
    from harness.contract import checks

    found = Case("lora", family, tmp_path, {"init": init, "learning_rate": 1e-2})
    checks.reloads(found)
    checks.switches_off(found)

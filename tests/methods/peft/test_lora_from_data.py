"""LoRA's starts: where each begins, and that what ships is what was trained."""

from __future__ import annotations

import pytest

from harness.contract import Case
from methods.errors import InvalidSettingError
from methods.peft.lora_from_data import RESIDUAL_INITS
from methods.registry import build

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def case(tmp_path, name, **settings):
    return Case(f"peft:{name}", "decoder-only", tmp_path, {"learning_rate": 3e-2, **settings})


@pytest.mark.parametrize("start", ["pissa", "olora", "corda", "lora_ga", "eva"])
def test_a_start_differs_from_loras_and_ships_for_the_base_as_it_was(tmp_path, start):
    import torch

    found = case(tmp_path, start)
    base = found.logits(found.base())
    model = found.prepared()
    first = {name: p.clone() for name, p in model.named_parameters() if "lora_A" in name}
    plain = dict(case(tmp_path, "lora").prepared().named_parameters())
    assert any(first[name].shape != plain[name].shape or not torch.equal(first[name], plain[name]) for name in first)
    # Each begins where the base is.
    torch.testing.assert_close(found.logits(model), base, rtol=1e-3, atol=1e-3)
    found.method.save(model, tmp_path / "shipped")
    torch.testing.assert_close(found.logits(model), base, rtol=1e-3, atol=1e-3)  # saving changes nothing
    again = found.method.load(found.base(), tmp_path / "shipped")
    torch.testing.assert_close(found.logits(again), base, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("start", RESIDUAL_INITS)
@pytest.mark.parametrize(
    ("knob", "given", "wanted"),
    [
        ("use_dora", True, "false"),
        ("bias", "all", "none"),
        ("modules_to_save", "lm_head", "none"),
        ("trainable_token_indices", "3", "none"),
    ],
)
def test_what_a_start_in_the_base_weights_could_not_ship_is_refused(start, knob, given, wanted):
    with pytest.raises(InvalidSettingError, match=rf"^peft:{start}\.{knob}: must be {wanted} with init_lora_weights="):
        build(f"peft:{start}", {knob: given})
    assert build("peft:eva", {knob: given})


def test_dora_refuses_a_start_in_the_base_weights():
    with pytest.raises(InvalidSettingError, match=r"peft:dora\.use_dora: .* with init_lora_weights=pissa_niter_4"):
        build("peft:dora", {"init_lora_weights": "pissa_niter_4"})


@pytest.mark.parametrize("knobs", [{}, {"lora_dropout": 0.2}, {"use_rslora": True}])
@pytest.mark.parametrize("start", RESIDUAL_INITS)
def test_a_start_in_the_base_weights_ships_the_model_that_was_trained(tmp_path, start, knobs):
    import torch

    found = case(tmp_path, start, **knobs)
    model = found.prepared()
    found.train(model, 3)
    scored = found.logits(model)
    found.method.save(model, tmp_path / "shipped")
    again = found.method.load(found.base(), tmp_path / "shipped")
    torch.testing.assert_close(found.logits(again), scored, rtol=1e-3, atol=1e-3)

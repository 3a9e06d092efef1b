"""Knobs that do something beside others alone: refused where they would do nothing, which is tried here."""

from __future__ import annotations

import dataclasses

import pytest

from harness.contract import Case
from methods.errors import InvalidSettingError, UnknownKnobError
from methods.peft.tuners import TUNERS
from methods.registry import build

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

OTHERS = {
    "start_examples": 3,
    "eva_rho": 1.5,
    "corda_method": "kpm",
    "loftq_bits": 8,
    "loftq_iter": 2,
    "eps": 1e-3,
    "num_cayley_neumann_terms": 2,
    "encoder_num_layers": 3,
    "encoder_dropout": 0.5,
    "encoder_hidden_size": 7,
    "prompt_tuning_init_text": "hi",
    "prompt_tuning_init_state_dict_path": "nowhere.bin",
    "prompt_tuning_init_task": 1,
}
"""A value of each that is not its default."""
IDLE = {"num_cayley_neumann_terms": {"use_cayley_neumann": False}}
"""What has to be changed for a knob to do nothing, where it does something by default."""
BOUND = [
    (name, knob, other, values)
    for name, tuner in TUNERS.items()
    if tuner.type in ("", name)  # settings of a type have that type's knobs
    for knob, (other, *values) in tuner.only_with.items()
]


def logits(tmp_path, name, settings):
    found = Case(f"peft:{name}", "decoder-only", tmp_path, {"learning_rate": 3e-2, **settings})
    model = found.prepared()
    found.train(model, 3)
    return found.logits(model)


@pytest.mark.parametrize(("name", "knob", "other", "values"), BOUND)
def test_a_knob_that_would_do_nothing_is_refused(tmp_path, monkeypatch, name, knob, other, values):
    import torch

    settings = {**IDLE.get(knob, {}), knob: OTHERS[knob]}
    with pytest.raises(InvalidSettingError, match=rf"^peft:{name}\.{knob}: does nothing without {other}"):
        build(f"peft:{name}", settings)
    for value in values:
        assert build(f"peft:{name}", {knob: OTHERS[knob], other: value})
    plain = logits(tmp_path, name, IDLE.get(knob, {}))
    method = type(build(f"peft:{name}"))
    monkeypatch.setattr(method, "tuner", dataclasses.replace(method.tuner, only_with={}))
    assert torch.equal(logits(tmp_path, name, settings), plain)


@pytest.mark.parametrize(
    ("name", "settings", "knob"),
    [
        ("oft", {"coft": True}, "eps"),
        ("oft", {}, "num_cayley_neumann_terms"),
        ("p_tuning", {"encoder_reparameterization_type": "LSTM"}, "encoder_num_layers"),
        ("p_tuning", {"encoder_reparameterization_type": "LSTM"}, "encoder_dropout"),
        ("corda", {}, "corda_method"),
        ("corda", {}, "start_examples"),
    ],
)
def test_with_the_other_it_does_something(tmp_path, name, settings, knob):
    import torch

    assert not torch.equal(logits(tmp_path, name, {**settings, knob: OTHERS[knob]}), logits(tmp_path, name, settings))


@pytest.mark.parametrize("name", ["lora", "pissa", "dora", "adalora"])
@pytest.mark.parametrize("knob", ["use_qalora", "qalora_group_size", "megatron_core", "alora_invocation_tokens"])
def test_what_never_works_here_is_no_knob(name, knob):
    with pytest.raises(UnknownKnobError, match=rf"'peft:{name}' has no knob '{knob}'"):
        build(f"peft:{name}", {knob: "1"})


@pytest.mark.parametrize("knob", ["init_lora_weights", "use_rslora", "lora_bias", "trainable_token_indices"])
def test_what_adalora_only_inherits_is_no_knob(knob):
    with pytest.raises(UnknownKnobError, match=rf"'peft:adalora' has no knob '{knob}'"):
        build("peft:adalora", {knob: "1"})


@pytest.mark.parametrize("knob", ["deltaT", "init_r", "target_r"])
def test_adalora_counts_from_one(knob):
    with pytest.raises(InvalidSettingError, match=rf"^peft:adalora\.{knob}: must be at least 1$"):
        build("peft:adalora", {knob: 0})


@pytest.mark.parametrize(
    ("name", "given", "left"),
    [
        ("oft", {"r": 4}, "oft_block_size"),
        ("oft", {"oft_block_size": 16}, "r"),
        ("boft", {"boft_block_num": 4}, "boft_block_size"),
        ("boft", {"boft_block_size": 8}, "boft_block_num"),
    ],
)
def test_of_two_knobs_that_exclude_each_other_one_is_enough(tmp_path, name, given, left):
    found = Case(f"peft:{name}", "decoder-only", tmp_path, {"learning_rate": 3e-2, **given})
    model = found.prepared()
    config = model.active_peft_config
    assert {knob: getattr(config, knob) for knob in (*given, left)} == {**given, left: 0}
    events = found.train(model, 3)
    assert events[-1].loss < events[0].loss


def test_both_of_them_are_refused_in_pefts_words(tmp_path):
    with pytest.raises(InvalidSettingError, match=r"peft:oft\.r, peft:oft\.oft_block_size: PEFT says: You can only"):
        Case("peft:oft", "decoder-only", tmp_path, {"r": 4, "oft_block_size": 16}).prepared()

"""What is read from PEFT's source against the classes themselves, and knobs against what PEFT gets."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest

from methods import registry
from methods.errors import InvalidSettingError, UnknownKnobError, UnknownMethodError
from methods.peft import introspection
from methods.peft.config_knobs import to_knob_value, to_peft_value
from methods.peft.tuners import COMPARISON, TUNERS, USUAL


def test_the_registered_tuners_are_those_of_peft():
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    assert introspection.list_tuners() == {
        str(kind.value).lower(): config.__name__ for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()
    }
    assert len(introspection.list_tuners()) >= 37


def test_the_version_is_pefts():
    import peft

    assert introspection.read_version() == peft.__version__


@pytest.mark.parametrize("tuner", introspection.list_tuners())
def test_fields_and_defaults_are_those_of_the_class(tuner):
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    config = next(value for kind, value in PEFT_TYPE_TO_CONFIG_MAPPING.items() if kind.value.lower() == tuner)
    real = {field.name: field for field in dataclasses.fields(config)}
    found = introspection.read_fields(config.__name__)
    assert found
    for name, field in found.items():
        default = real[name].default
        if default is dataclasses.MISSING:
            default = real[name].default_factory()
        default = getattr(default, "value", default)
        assert field.default == (() if default == [] else default), name
        assert type(field.default) is type(() if default == [] else default), name
        text = real[name].metadata.get("help", "")
        assert field.help == " ".join((text if isinstance(text, str) else " ".join(text)).split()), name
    # What is left out takes mappings and other configs alone, or is PEFT's own.
    internal = {
        field.name for base in (peft.PeftConfig, peft.PromptLearningConfig) for field in dataclasses.fields(base)
    }
    hints = typing.get_type_hints(config)
    assert not [name for name in set(real) - set(found) - internal if _can_be_given(hints[name])]


def _can_be_given(hint):
    if typing.get_origin(hint) in (dict, tuple):
        return False
    return hint in (int, float, bool, str) or any(map(_can_be_given, typing.get_args(hint)))


def test_every_name_of_the_table_is_registered_or_of_a_registered_type():
    if introspection.read_version() != "0.21.2":
        pytest.skip("the table is of PEFT 0.21.2")
    assert {tuner.type or name for name, tuner in TUNERS.items()} == set(introspection.list_tuners())


@pytest.mark.parametrize("name", [name for name in registry.list_own_methods() if name.startswith("peft:")])
def test_every_tuner_is_a_method_whose_settings_build_it_again(name):
    method = registry.build(name)
    assert method.name == name
    assert registry.build(name, method.settings()).settings() == method.settings()
    assert {type(value) for value in method.settings().values()} <= {int, float, str, bool}


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("peft:verra", "peft:vera"), ("peft:prefix-tuning", "peft:prefix_tuning"), ("peft:VERA", "peft:vera")],
)
def test_a_wrong_name_gets_the_nearest(wrong, nearest):
    with pytest.raises(UnknownMethodError, match=rf"unknown method '{wrong}' \(did you mean .*{nearest}"):
        registry.get(wrong)


def test_a_wrong_knob_gets_the_nearest():
    with pytest.raises(UnknownKnobError, match=r"'peft:vera' has no knob 'd_inital' \(did you mean d_initial"):
        registry.build("peft:vera", {"d_inital": 1})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("peft:vera", {"r": "many"}, r"peft:vera\.r: must be a whole number"),
        ("peft:lora", {"bias": "some"}, r"peft:lora\.bias: must be 'none', 'all' or 'lora_only'"),
        ("peft:prompt_tuning", {"prompt_tuning_init": "x"}, r"must be 'TEXT', 'SAMPLE_VOCAB' or 'RANDOM'"),
        ("peft:osf", {"effective_rank": "much"}, r"peft:osf\.effective_rank: must be a"),
        ("peft:cpt", {"context_examples": 0}, r"context_examples: must be at least 1"),
    ],
)
def test_a_wrong_value_names_the_knob(name, settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        registry.build(name, settings)


def test_a_knob_is_what_peft_takes():
    fields = introspection.read_fields("LoraConfig")
    assert to_peft_value("x", fields["target_modules"], "q_proj+v_proj") == ["q_proj", "v_proj"]
    assert to_peft_value("x", fields["target_modules"], "all-linear") == "all-linear"
    assert to_peft_value("x", fields["target_modules"], "none") is None
    assert to_peft_value("x", fields["layers_to_transform"], "0+3") == [0, 3]
    assert to_peft_value("x", fields["bias"], "none") == "none"  # a word of PEFT's here
    assert to_peft_value("x", fields["init_lora_weights"], "false") is False
    assert to_peft_value("x", fields["init_lora_weights"], "pissa_niter_4") == "pissa_niter_4"
    with pytest.raises(InvalidSettingError, match=r"x\.layers_to_transform: give int values joined by \+"):
        to_peft_value("x", fields["layers_to_transform"], "0+three")


def test_pefts_values_are_written_as_flags_have_them():
    assert (to_knob_value(None), to_knob_value(()), to_knob_value((1, 2)), to_knob_value(False)) == (
        "none",
        "none",
        "1+2",
        False,
    )


def test_rates_are_those_of_pefts_method_comparison():
    # huggingface/peft, method_comparison/MetaMathQA/experiments: `lr` of each tuner's own training_params.json; the
    # default of all, in default_training_params.json, is 1e-4, which glora's `default` variant runs at.
    own = {"c3a": 0.3, "trainable_tokens": 0.2, "hira": 4.5e-3, "lokr": 3e-3, "delora": 1e-3, "road": 1e-3}
    own |= {"shira": 3e-4, "gralora": 2e-4, "osf": 5e-5, "pvera": 3e-3, "tinylora": 1e-3, "prefix_tuning": 5e-3}
    for name, rate in own.items():
        assert (TUNERS[name].learning_rate, TUNERS[name].source) == (rate, COMPARISON)
    usual = {name: tuner.learning_rate for name, tuner in TUNERS.items() if tuner.source == USUAL}
    assert set(usual.values()) == {1e-4}
    assert "glora" in usual
    assert not usual.keys() & own.keys()


def test_the_page_names_every_default_that_is_not_pefts():
    page = (Path(__file__).resolve().parents[3] / "docs" / "peft.md").read_text(encoding="utf-8")
    told = page.partition("- **Defaults**")[2].partition("- **Steps of their own**")[0]
    others = {
        (name, knob) for name, tuner in TUNERS.items() if not tuner.type for knob in (*tuner.defaults, *tuner.auto)
    }
    named = {(name, knob) for name, knob in others if knob not in ("target_modules", "num_virtual_tokens")}
    assert len(named) >= 12
    assert not [(name, knob) for name, knob in named if not (name in told and knob in told)]


def test_settings_of_a_type_are_its_knobs():
    config = registry.build("peft:dora").config
    assert config.use_dora
    assert not registry.build("peft:lora").config.use_dora
    assert registry.build("peft:pissa").config.init_lora_weights == "pissa"

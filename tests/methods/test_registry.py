"""The registry: names, knobs and what a wrong one gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

import methods
from methods import registry
from methods.base import Method, TrainingConfig
from methods.errors import (
    InvalidMethodError,
    InvalidSettingError,
    UnknownKnobError,
    UnknownMethodError,
)


@pytest.mark.parametrize("name", list(methods.METHODS))
def test_every_registered_name_is_a_usable_method(name):
    method = registry.build(name)
    assert method.name == name
    assert method.summary
    assert isinstance(method.settings(), dict)


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UnknownMethodError, match=r"unknown method 'lroa' \(did you mean lora"):
        registry.get("lroa")


def test_a_wrong_knob_gets_the_nearest():
    with pytest.raises(UnknownKnobError, match=r"'lora' has no knob 'alhpa' \(did you mean alpha"):
        registry.build("lora", {"alhpa": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": "many"}, "lora.r"),
        ({"r": 0}, "r must be at least 1"),
        ({"dropout": 1.5}, "dropout must be"),
        ({"learning_rate": -1}, "learning_rate must be above 0"),
        ({"schedule": "steep"}, "lora.schedule"),
    ],
)
def test_a_wrong_value_names_the_knob(settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        registry.build("lora", settings)


def test_text_values_take_the_knobs_type():
    config = registry.build("qlora", {"r": "16", "learning_rate": "1e-3", "double_quant": "false"}).config
    assert (config.r, config.learning_rate, config.double_quant) == (16, 1e-3, False)


class NotAMethod:
    name = "lora"


class Nameless(Method):
    name = "other"
    summary = "x"

    def prepare(self, model, setting):
        return model


class Loose(Nameless):
    name = "loose"

    class Config:
        pass


@pytest.mark.parametrize(
    ("found", "message"),
    [(NotAMethod, "not a subclass"), (Nameless, "calls itself 'other'"), (Loose, "not a frozen dataclass")],
)
def test_what_is_no_method_is_refused(found, message):
    name = "loose" if found is Loose else "lora"
    with pytest.raises(InvalidMethodError, match=message):
        registry.checked(name, found, "plugin:Thing")


def test_a_plugin_that_cannot_be_imported_breaks_nothing_else(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "broken", "no_such_module:Thing")
    registry.origins.cache_clear()
    try:
        found = dict(registry.all_methods())
        assert isinstance(found["broken"], InvalidMethodError)
        assert isinstance(found["lora"], type)
        assert found["lora"].Config is not TrainingConfig
    finally:
        registry.origins.cache_clear()


def test_a_name_taken_twice_is_refused_with_both_origins(monkeypatch):
    from importlib.metadata import EntryPoint

    point = EntryPoint("lora", "elsewhere:LoRA", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry.origins.cache_clear()
    try:
        with pytest.raises(InvalidMethodError, match=r"taken twice: by methods\.lora:LoRA and by elsewhere:LoRA"):
            registry.origins()
    finally:
        registry.origins.cache_clear()


def test_listing_methods_imports_neither_torch_nor_peft():
    code = (
        "import sys; from methods.registry import all_methods; list(all_methods());"
        "print(sorted({'torch', 'peft', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

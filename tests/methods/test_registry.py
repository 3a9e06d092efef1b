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
        ({"r": "0"}, r"^lora\.r: must be at least 1 \(given: 0\)$"),
        ({"init": "orthogonal", "dropout": 0, "r": 3}, r"^lora\.r: must be even with init=orthogonal \(given: 3\)$"),
        (
            {"init": "pissa", "use_dora": True, "bias": "none"},
            r"^lora\.use_dora: must be false with .* \(given: True\)$",
        ),
        ({"dropout": 1.5}, r"lora\.dropout: must be"),
        ({"learning_rate": -1}, r"lora\.learning_rate: must be above 0"),
        ({"schedule": "steep"}, "lora.schedule"),
        ({"r": True}, r"lora\.r: must be a number \(given: True\)"),
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
        registry.check_method(name, found, "plugin:Thing")


WHOLE = """
from dataclasses import dataclass
from methods.base import Method, TrainingConfig

class Other(Method):
    name = "other"
    summary = "does nothing"
    def prepare(self, model, setting):
        return model

class Needy(Other):
    name = "needy"
    @dataclass(frozen=True)
    class Config:
        rank: int

class Odd(Other):
    name = "odd"
    @dataclass(frozen=True)
    class Config:
        of: object = object()

class Half(Method):
    name = "half"
    summary = "does not say how"

class Silent(Other):
    name = "silent"
    summary = ""
"""
BAD = {
    "gone": ("no_such_module:Thing", "method 'gone' (no_such_module:Thing) cannot be imported: No module named"),
    "nowhere": ("other_methods", "cannot be imported"),
    "lacking": ("other_methods:Nothing", "has no attribute 'Nothing'"),
    "misnamed": ("other_methods:Other", "is registered as 'misnamed' but calls itself 'other'"),
    "a module": ("other_methods:Other", "is registered as 'a module'; use letters, digits"),
    "function": ("other_methods:dataclass", "other_methods:dataclass is not a subclass of methods.base.Method"),
    "needy": ("other_methods:Needy", "cannot be made with its defaults: "),
    "odd": ("other_methods:Odd", "cannot be made with its defaults: Object of type object is not JSON"),
    "half": ("other_methods:Half", "other_methods:Half does not define prepare"),
    "silent": ("other_methods:Silent", "other_methods:Silent has no summary"),
}


def test_plugins_that_cannot_be_used_break_nothing_but_themselves(install):
    points = {name: value for name, (value, _) in BAD.items()} | {"other": "other_methods:Other"}
    install("others", {"harness.methods": points}, other_methods=WHOLE)
    found = dict(registry.all_methods())
    for name, (_, sentence) in BAD.items():
        assert isinstance(found[name], InvalidMethodError)
        assert sentence in str(found[name])
        assert "\n" not in str(found[name])
    assert found["other"] is registry.get("other")
    assert found["lora"].Config is not TrainingConfig


def test_a_name_taken_twice_is_refused_with_both_origins_where_it_is_used(install):
    install("others", {"harness.methods": {"lora": "other_methods:LoRA", "other": "other_methods:Other"}})
    install("more", {"harness.methods": {"other": "more:Other"}, "harness.metrics": {"rouge": "more:Rouge"}})
    with pytest.raises(
        InvalidMethodError, match=r"'lora' is taken twice: by methods\.adapters\.lora:LoRA and by other_methods:"
    ):
        registry.build("lora")
    with pytest.raises(InvalidMethodError, match=r"taken twice: by more:Other and by other_methods:Other"):
        registry.build("other")
    assert "taken twice" in str(dict(registry.all_methods())["lora"])
    assert registry.build("qlora").name == "qlora"  # whose class inherits from LoRA's
    with pytest.raises(UnknownMethodError, match="did you mean lora"):
        registry.get("lroa")


def test_the_same_package_found_twice_is_no_clash(install):
    for _ in range(2):
        install("others", {"harness.methods": {"other": "other_methods:Other"}}, other_methods=WHOLE)
    assert registry.get("other").name == "other"


@pytest.mark.parametrize("damage", [b"[harness.methods]\nno value\n", b"\xff\xfe[harness.methods]\n"])
def test_entry_points_that_cannot_be_read_hide_no_others(install, damage):
    site = install("damaged", {})
    (site / "damaged-1.dist-info" / "entry_points.txt").write_bytes(damage)
    install("others", {"harness.methods": {"other": "other_methods:Other"}}, other_methods=WHOLE)
    found = dict(registry.all_methods())
    assert found["other"].name == "other"
    assert "the entry points of the package damaged cannot be read: " in str(found["damaged"])


def test_listing_methods_imports_neither_torch_nor_peft():
    code = (
        "import sys; from methods.registry import all_methods; list(all_methods());"
        "print(sorted({'torch', 'peft', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

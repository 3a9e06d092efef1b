"""A class for every tuner, created on first access: `methods.peft.classes:vera` is the method `peft:vera`."""

from __future__ import annotations

import importlib
from functools import cache

from methods.peft import PREFIX
from methods.peft.config_knobs import make_config_class
from methods.peft.introspection import list_tuners, read_fields
from methods.peft.method import PeftMethod
from methods.peft.tuners import find_tuner


@cache
def __getattr__(name: str) -> type[PeftMethod]:
    tuner = find_tuner(name)
    kind = tuner.type or name
    if kind not in list_tuners():
        raise AttributeError(f"the installed PEFT registers no tuner {kind!r}")
    module, _, attribute = tuner.driver.partition(":")
    driver: type[PeftMethod] = getattr(importlib.import_module(module), attribute)
    read = {knob: field for knob, field in read_fields(list_tuners()[kind]).items() if knob not in tuner.hidden}
    auto = [knob for knob in tuner.auto if knob in read]
    defaults = {"learning_rate": tuner.learning_rate, **tuner.defaults}
    config = make_config_class(name, driver.Knobs, read, defaults, auto, tuner.source)
    made: type[PeftMethod] = type(
        name,
        (driver,),
        {
            "__module__": __name__,
            "__doc__": f"PEFT's {kind} as a method.",
            "name": f"{PREFIX}{name}",
            "summary": tuner.summary,
            "Config": config,
            "families": tuner.families,
            "kind": kind,
            "tuner": tuner,
            "fields": read,
        },
    )
    return made

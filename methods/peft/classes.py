"""A class for every tuner, made when it is asked for: `methods.peft.classes:vera` is the method `peft:vera`."""

from __future__ import annotations

import importlib
from functools import cache

from methods.peft import PREFIX
from methods.peft.config_knobs import config_class
from methods.peft.introspection import fields, registered
from methods.peft.method import PeftMethod
from methods.peft.tuners import known


@cache
def __getattr__(name: str) -> type[PeftMethod]:
    tuner = known(name)
    kind = tuner.type or name
    if kind not in registered():
        raise AttributeError(f"the installed PEFT registers no tuner {kind!r}")
    module, _, attribute = tuner.driver.partition(":")
    driver: type[PeftMethod] = getattr(importlib.import_module(module), attribute)
    read = {knob: field for knob, field in fields(registered()[kind]).items() if knob not in tuner.hidden}
    auto = [knob for knob in tuner.auto if knob in read]
    defaults = {"learning_rate": tuner.learning_rate, **tuner.defaults}
    config = config_class(name, driver.Knobs, read, defaults, auto, tuner.source)
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

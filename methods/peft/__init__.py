"""Every tuner that the installed PEFT registers, as a method `peft:NAME`. Listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "peft:"


def methods() -> Mapping[str, str]:
    """Map the name of every such method to where its class is, as `methods.METHODS` does."""
    from methods.peft.introspection import list_tuners
    from methods.peft.tuners import TUNERS

    types = list_tuners()
    names = [*types, *(name for name, tuner in TUNERS.items() if tuner.type in types)]
    return {f"{PREFIX}{name}": f"methods.peft.classes:{name}" for name in sorted(names)}

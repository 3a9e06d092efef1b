"""Every tuner that the installed PEFT registers, as a method `peft:NAME`; nothing heavy is imported to list them."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "peft:"


def methods() -> Mapping[str, str]:
    """Name of every such method → where its class is made, as the table of methods has it."""
    from methods.peft.introspection import list_tuners
    from methods.peft.tuners import TUNERS

    types = list_tuners()
    names = [*types, *(name for name, tuner in TUNERS.items() if tuner.type in types)]
    return {f"{PREFIX}{name}": f"methods.peft.classes:{name}" for name in sorted(names)}

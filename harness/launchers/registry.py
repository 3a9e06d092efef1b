"""Finding a launcher by name: the table in `harness/launchers/__init__.py`, entry points of the group
`harness.launchers`, and files that the user names; `methods.catalogue` has the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.errors import LauncherError, SpecError
from harness.launchers import LAUNCHERS
from harness.launchers.base import Launcher
from harness.launchers.interruption import Interruption
from methods.catalogue import Catalogue, check_class
from methods.errors import describe_error_with_type, suggest_names


def get(name: str) -> type[Launcher]:
    """The class of this name. Raises `SpecError` where there is none, `LauncherError` for one of no use."""
    return CATALOGUE.get(name)


def _unknown(name: str) -> SpecError:
    return SpecError(f"unknown launcher {name!r}{suggest_names(name, CATALOGUE.origins())}")


def checked(name: str, found: Any, origin: str) -> type[Launcher]:
    """Return `found` if it is a usable launcher class of this name; else raise `LauncherError`."""
    return check_class(name, found, origin, Launcher, LauncherError)  # type: ignore[type-abstract]


CATALOGUE = Catalogue("launcher", lambda: LAUNCHERS, checked, LauncherError, _unknown)


def all_launchers() -> Iterator[tuple[str, type[Launcher] | Exception]]:
    """Every registered name with its class, or with the error that keeps it from being used."""
    return CATALOGUE.all()


def build(name: str, timeout: float | None, interruption: Interruption) -> Launcher:
    """A launcher that is ready. Raises `HarnessError` with one sentence where it is not."""
    cls = get(name)
    try:
        return cls(timeout, interruption)
    except (LauncherError, SpecError):
        raise
    except Exception as error:  # it is foreign code
        raise LauncherError(f"the launcher {name!r} cannot start: {describe_error_with_type(error)}") from error

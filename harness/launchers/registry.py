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


def get_launcher(name: str) -> type[Launcher]:
    """The class of this name. Raises `SpecError` for an unknown name, `LauncherError` for an unusable class."""
    return CATALOGUE.get(name)


def _make_unknown_error(name: str) -> SpecError:
    return SpecError(f"unknown launcher {name!r}{suggest_names(name, CATALOGUE.origins())}")


def check_launcher(name: str, found: Any, origin: str) -> type[Launcher]:
    """Return `found` if it is a usable launcher class of this name; else raise `LauncherError`."""
    return check_class(name, found, origin, Launcher, LauncherError)  # type: ignore[type-abstract]


CATALOGUE = Catalogue("launcher", lambda: LAUNCHERS, check_launcher, LauncherError, _make_unknown_error)


def list_launchers() -> Iterator[tuple[str, type[Launcher] | Exception]]:
    """Every registered name with its class, or with the error for which it cannot be used."""
    return CATALOGUE.all()


def build_launcher(name: str, timeout: float | None, interruption: Interruption) -> Launcher:
    """A launcher that is ready to use. Raises `HarnessError` with one sentence if it cannot be built."""
    cls = get_launcher(name)
    try:
        return cls(timeout, interruption)
    except (LauncherError, SpecError):
        raise
    except Exception as error:  # third-party code may raise anything
        raise LauncherError(f"the launcher {name!r} cannot start: {describe_error_with_type(error)}") from error

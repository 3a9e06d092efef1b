"""Finds what users choose by name and plugins may add: methods and, in the harness, metrics, tasks, launchers.

A name comes from the project's own table, from an entry point of an installed package (group `harness.methods` and the
like), or from a file that the user names. Nothing is imported before it is looked up. Using a name that is taken
twice is an error that lists all origins. A plugin that cannot be used affects nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import Distribution, distributions
from operator import attrgetter
from typing import Any, Generic, TypeVar

from methods.errors import describe_error

T = TypeVar("T")
C = TypeVar("C")
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}", re.ASCII)
"""Valid names of plugins: usable between commas and brackets, and never mistaken for `MODULE:FUNCTION`."""


@dataclass(frozen=True)
class Catalogue(Generic[T]):
    """All methods, metrics, tasks or launchers by name."""

    kind: str
    """What one of them is called. The entry point group is `harness.` + kind + `s`."""
    table: Callable[[], Mapping[str, str]]
    """Returns the project's own: name → `module:attribute`."""
    check: Callable[[str, Any, str], T]
    """Takes name, object and origin; returns the object if it can be used, else raises `error`."""
    error: type[Exception]
    """Raised for an object that cannot be used."""
    unknown: Callable[[str], Exception]
    """Makes the error for an unknown name."""
    brought: dict[str, tuple[str, T]] = field(init=False, default_factory=dict)
    """What came from files that the user named: name → origin and object."""
    files: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    """Plugin file (its module name) → the names that it registered."""

    @property
    def group(self) -> str:
        """The entry points' group."""
        return f"harness.{self.kind}s"

    def origins(self) -> Mapping[str, tuple[str, ...]]:
        """Map each name to its origins, the project's own first. A name that is taken twice has more than one."""
        found = {name: [origin] for name, origin in self.table().items()}
        points, _ = _read_entry_points(tuple(map(str, sys.path)))
        brought = ((name, origin) for name, (origin, _) in self.brought.items())
        for name, origin in (*(point[1:] for point in points if point[0] == self.group), *brought):
            if origin not in found.setdefault(name, []):
                found[name].append(origin)
        return {name: tuple(origins) for name, origins in found.items()}

    def get(self, name: str) -> T:
        """Return what has this name. Raises `unknown` if nothing has it, `error` if it cannot be used."""
        origins = self.origins()
        if name not in origins:
            raise self.unknown(name)
        if len(origins[name]) > 1:
            raise self.error(f"the {self.kind} name {name!r} is taken twice: by {' and by '.join(origins[name])}")
        (origin,) = origins[name]
        if name in self.brought:
            return self.brought[name][1]
        module, _, attribute = origin.partition(":")
        try:
            found = attrgetter(attribute.strip())(import_module(module.strip()))
        except (Exception, SystemExit) as error:  # a plugin's import may raise anything
            raise self.error(f"{self.kind} {name!r} ({origin}) cannot be imported: {describe_error(error)}") from error
        return self._checked(name, found, origin)

    def find(self, name: str) -> T | Exception:
        """Return what has this name, or the error that explains why it cannot be used. Raises `unknown`."""
        try:
            return self.get(name)
        except self.error as error:
            return error

    def all(self) -> Iterator[tuple[str, T | Exception]]:
        """Yield every name with what has it, or with the error that explains why it cannot be used."""
        yield from ((name, self.find(name)) for name in self.origins())
        yield from self.unreadable()

    def unreadable(self) -> Iterator[tuple[str, Exception]]:
        """Yield the installed packages whose entry points cannot be read, with the error."""
        for package, why in _read_entry_points(tuple(map(str, sys.path)))[1]:
            yield package, self.error(f"the entry points of the package {package} cannot be read: {why}")

    def accept(self, brought: Iterable[tuple[str, str, Any]]) -> dict[str, tuple[str, T]]:
        """Name → origin and object, of (name, origin, object) that a file brings. Raises `error` for a name that is
        taken and for what cannot be used."""
        accepted: dict[str, tuple[str, T]] = {}
        for name, origin, found in brought:
            taken = self.origins().get(name) or accepted.get(name)
            if taken:
                raise self.error(f"the {self.kind} name {name!r} is taken twice: by {taken[0]} and by {origin}")
            accepted[name] = (origin, self._checked(name, found, origin))
        return accepted

    def add(self, accepted: Mapping[str, tuple[str, T]], file: str) -> None:
        """Let what a file brought be chosen, too, in this process."""
        self.brought.update(accepted)
        self.files[file] = tuple(accepted)

    def _checked(self, name: str, found: Any, origin: str) -> T:
        if not NAME.fullmatch(name) and name not in self.table():
            raise self.error(f"{origin} is registered as {name!r}; use letters, digits, hyphens, underscores and dots")
        try:
            return self.check(name, found, origin)
        except self.error:
            raise
        except Exception as error:  # looking at a plugin may run code of its own
            raise self.error(f"{self.kind} {name!r} ({origin}) cannot be used: {describe_error(error)}") from error


def check_class(name: str, found: Any, origin: str, base: type[C], error: type[Exception]) -> type[C]:
    """Return `found` if it is a complete subclass of `base` with this name and a summary; else raise `error`."""
    if not (isinstance(found, type) and issubclass(found, base)):
        raise error(f"{origin} is not a subclass of {base.__module__}.{base.__name__}")
    if lacking := getattr(found, "__abstractmethods__", None):
        raise error(f"{origin} does not define {' and '.join(sorted(lacking))}")
    if getattr(found, "name", None) != name:
        raise error(f"{origin} is registered as {name!r} but calls itself {getattr(found, 'name', None)!r}")
    summary = getattr(found, "summary", None)
    if not isinstance(summary, str) or not summary.strip():
        raise error(f"{origin} has no summary")
    return found


@lru_cache(maxsize=4)
def _read_entry_points(path: tuple[str, ...]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Group, name and origin of every entry point of the harness, and the packages whose entry points are unreadable.

    Of a package that is found twice the first counts, as for imports. `path` is `sys.path`, which decides what is
    found.
    """
    points, unreadable, seen = [], [], set[str]()
    for distribution in distributions():
        try:
            own = [point for point in distribution.entry_points if point.group.startswith("harness.")]
            if own and (package := _read_package_name(distribution)) not in seen:
                seen.add(package)
                points += [(point.group, point.name, point.value) for point in own]
        except Exception as error:  # one package's damaged file would hide those of all others
            unreadable.append((_read_package_name(distribution), describe_error(error)))
    return sorted(points), unreadable


def _read_package_name(distribution: Distribution) -> str:
    try:
        return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()
    except Exception:  # damaged too
        return "of no name"

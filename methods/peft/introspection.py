"""Reads the tuners of the installed PEFT, and the fields of their configs, from its source without running it.

Importing PEFT takes eight seconds and imports torch. Each tuner registers itself by one call in its package
(`register_peft_method(name=…, config_cls=…)`), and its config is a dataclass with literal annotations and defaults, so
both can be read from the syntax tree in milliseconds. Fields that cannot be given on the command line, such as mappings
and other configs, are left out. A test compares what is read here with the classes themselves.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

SCALARS: Mapping[str, type[Any]] = {"int": int, "float": float, "bool": bool, "str": str}
_NO_KNOBS = ("PeftConfigMixin", "PeftConfig", "PromptLearningConfig")
"""Classes whose fields are not knobs: types, paths, and shapes that PEFT takes from the model."""
_SHARED = ("num_virtual_tokens", "modules_to_save")
"""Fields of `PromptLearningConfig` that are knobs nevertheless."""


@dataclass(frozen=True)
class ValueKind:
    """The values that a field accepts: the union of all that is listed here."""

    scalars: frozenset[type[Any]] = frozenset()
    choices: tuple[Any, ...] = ()
    """Values of a `Literal` or an enumeration."""
    items: frozenset[type[Any]] = frozenset()
    """Types of the items, if it accepts a list."""
    optional: bool = False

    def __or__(self, other: ValueKind) -> ValueKind:
        choices = (*self.choices, *(value for value in other.choices if value not in self.choices))
        return ValueKind(
            self.scalars | other.scalars, choices, self.items | other.items, self.optional or other.optional
        )

    @property
    def can_be_given(self) -> bool:
        """Whether any of these values can be given on the command line."""
        return bool(self.scalars or self.choices or self.items)


@dataclass(frozen=True)
class Field:
    """One field of a config."""

    name: str
    kind: ValueKind
    default: Any
    """A scalar, a tuple of scalars or `None`."""
    help: str = ""
    """PEFT's description in the field's metadata."""


@dataclass(frozen=True)
class _Class:
    node: ast.ClassDef
    file: Path


@dataclass(frozen=True)
class _Sources:
    """PEFT's config classes and enumerations by name."""

    classes: Mapping[str, _Class] = field(default_factory=dict)

    def bases(self, name: str) -> Iterator[str]:
        """Yield the names of the class and of its base classes in PEFT, the most basic first."""
        found = self.classes.get(name)
        if found is None:
            return
        for base in found.node.bases:
            if isinstance(base, ast.Name):
                yield from self.bases(base.id)
        yield name

    def values(self, name: str) -> dict[str, Any]:
        """Return the members of an enumeration, or an empty dict for another class."""
        if "Enum" not in {part for base in self._base_names(name) for part in (base, base.split(".")[-1])}:
            return {}
        pairs = [node for node in self.classes[name].node.body if isinstance(node, ast.Assign)]
        return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in pairs}

    def _base_names(self, name: str) -> list[str]:
        found = self.classes.get(name)
        return [ast.unparse(base) for base in found.node.bases] if found else []


@cache
def list_tuners() -> Mapping[str, str]:
    """Map every tuner that the installed PEFT registers to its config class. Empty if PEFT is not installed."""
    folder = _find_peft()
    found = {}
    for file in sorted(folder.glob("tuners/*/__init__.py")) if folder else []:
        for node in ast.walk(_parse(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("register_peft_method"):
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                name, config = given.get("name"), given.get("config_cls")
                if isinstance(name, ast.Constant) and config is not None:
                    found[str(name.value)] = ast.unparse(config)
    return dict(sorted(found.items()))


@cache
def read_fields(config: str) -> Mapping[str, Field]:
    """Read the fields of a config class, inherited ones included, that can be given on the command line."""
    sources = _read_sources()
    found = {}
    for name in sources.bases(config):
        for node in sources.classes[name].node.body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if name in _NO_KNOBS and node.target.id not in _SHARED:
                continue
            read = _read_field(node.target.id, node, sources)
            if read is not None:
                found[read.name] = read
    return found


def _read_field(name: str, node: ast.AnnAssign, sources: _Sources) -> Field | None:
    """Read the field that an annotated assignment declares; `None` if it cannot be given on the command line."""
    kind = _read_kind(node.annotation, sources)
    try:
        default = _read_default(node.value, sources)
    except ValueError:
        return None
    if default is None:  # some fields are declared as `int = None`
        kind |= ValueKind(optional=True)
    return Field(name, kind, default, _read_help(node.value)) if kind.can_be_given else None


def _read_kind(node: ast.expr, sources: _Sources) -> ValueKind:
    """Read which values an annotation allows, without those that cannot be given on the command line."""
    if isinstance(node, ast.Constant):
        return (
            ValueKind(optional=node.value is None)
            if not isinstance(node.value, str)
            else _read_quoted_kind(node.value, sources)
        )
    if isinstance(node, ast.Name):
        if node.id in SCALARS:
            return ValueKind(scalars=frozenset({SCALARS[node.id]}))
        return ValueKind(choices=tuple(sources.values(node.id).values()))
    if isinstance(node, ast.BinOp):
        return _read_kind(node.left, sources) | _read_kind(node.right, sources)
    if not isinstance(node, ast.Subscript):
        return ValueKind()
    outer = ast.unparse(node.value).removeprefix("typing.").lower()
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "literal":
        values = [ast.literal_eval(value) for value in inner]
        # `pissa_niter_[number of iters]` stands for many texts
        open_ended = any(isinstance(value, str) and "[" in value for value in values)
        return ValueKind(choices=() if open_ended else tuple(values), scalars=frozenset({str} if open_ended else ()))
    if outer in ("optional", "union"):
        found = ValueKind(optional=outer == "optional")
        for part in inner:
            found |= _read_kind(part, sources)
        # In a union of an enumeration and str, only the values of the enumeration are meant.
        return replace(found, scalars=found.scalars - {str}) if found.choices else found
    if outer == "list":
        return ValueKind(items=_read_kind(inner[0], sources).scalars)
    return ValueKind()


def _read_quoted_kind(text: str, sources: _Sources) -> ValueKind:
    return _read_kind(ast.parse(text, mode="eval").body, sources)


def _read_default(node: ast.expr | None, sources: _Sources) -> Any:
    """Read a default. Raises `ValueError` if it is neither a scalar nor a list."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "field":
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if "default_factory" in given:
            if ast.unparse(given["default_factory"]) != "list":
                raise ValueError("a mapping or an object")
            return ()
        return _read_default(given.get("default"), sources)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        members = sources.values(node.value.id)
        if node.attr in members:
            return members[node.attr]
    if node is None:
        raise ValueError("no default")
    found = ast.literal_eval(node)
    if not isinstance(found, int | float | str | bool | None):
        raise ValueError("no scalar")
    return found


def _read_help(node: ast.expr | None) -> str:
    """Read the text in `field(metadata={"help": …})`; empty if there is none or if it is not a literal."""
    given = {keyword.arg: keyword.value for keyword in node.keywords} if isinstance(node, ast.Call) else {}
    try:
        text = ast.literal_eval(given["metadata"])["help"]
        return " ".join((text if isinstance(text, str) else " ".join(text)).split())  # some are tuples by a stray comma
    except (KeyError, TypeError, ValueError):
        return ""


@cache
def _read_sources() -> _Sources:
    folder = _find_peft()
    files = [folder / "config.py", *sorted(folder.glob("tuners/*/config.py"))] if folder else []
    nodes = [(node, file) for file in files for node in _parse(file).body if isinstance(node, ast.ClassDef)]
    return _Sources({node.name: _Class(node, file) for node, file in nodes})


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _find_peft() -> Path | None:
    """Find the folder where PEFT is installed, without importing it."""
    spec = importlib.util.find_spec("peft")
    return Path(spec.origin).parent if spec and spec.origin else None


def read_version() -> str:
    """Read the version of the installed PEFT; empty if it is not installed."""
    folder = _find_peft()
    text = (folder / "__init__.py").read_text(encoding="utf-8") if folder else ""
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    return found.group(1) if found else ""

"""What the source of a config says of its knobs, for a listing: dataclasses keep no docstrings of their fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Mapping


def meanings(config: type) -> Mapping[str, str]:
    """Knob → the docstring under its field, then what the docstring of the class that sets the default says of it."""
    said = {}
    for field in dataclasses.fields(config):
        found = [_below(cls).get(field.name, "") for cls in config.__mro__]
        setting = next((cls for cls in config.__mro__ if field.name in vars(cls).get("__annotations__", {})), config)
        said[field.name] = " ".join(filter(None, (next(filter(None, found), ""), _inside(setting, field.name))))
    return said


def _below(cls: type) -> dict[str, str]:
    """The docstrings under the fields that this class writes down itself; none where its source is not to be had."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    texts = {}
    for field, below in itertools.pairwise(node.body if isinstance(node, ast.ClassDef) else []):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=knob)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[knob] = " ".join(text.split())
    return texts


def _inside(cls: type, knob: str) -> str:
    """What stands after `knob:` in the class's docstring, where a default comes from."""
    found = re.search(rf"^{knob}: (.+?)(?=\n\n|\n\w+: |\Z)", inspect.cleandoc(cls.__doc__ or ""), re.M | re.S)
    return f"Default: {' '.join(found.group(1).split())}" if found else ""

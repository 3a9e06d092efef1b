"""Functions of the user's that a flag names as `MODULE:FUNCTION`: a reward, or a metric."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.user_code.modules import load_module
from methods.errors import describe_error_with_type

FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""`MODULE:FUNCTION`, either with dots."""


def find_function(text: str, flag: str) -> tuple[Callable[..., Any], str | None]:
    """The function that `MODULE:FUNCTION` names, and the hash of its file. Raises `SpecError`, which names the flag."""
    module_name, _, attribute = text.partition(":")
    try:
        module = load_module(module_name)
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        raise SpecError(
            f"{flag} {text}: the module {module_name!r} cannot be imported ({describe_error_with_type(error)}); "
            "it is looked for in the current directory and among the installed packages"
        ) from error
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        raise SpecError(f"{flag} {text}: the module {module_name!r} has no attribute {attribute!r}") from None
    if not callable(found):
        raise SpecError(f"{flag} {text} is of type {type(found).__name__}, not a function")
    return found, hash_module_files(inspect.getmodule(inspect.unwrap(found)), module)


def hash_module_files(*modules: Any) -> str | None:
    """First 16 hex digits of the SHA-256 over the files of modules; `None` where none of them has a file."""
    files = {file for module in modules if (file := getattr(module, "__file__", None))}
    digest = hashlib.sha256(b"".join(sorted(Path(file).read_bytes() for file in files)))
    return digest.hexdigest()[:16] if files else None

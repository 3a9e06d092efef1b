"""Takes secrets out of texts: values of secret environment variables, and whatever has the shape of a token.

Everything that is kept passes here: records before they are written or shown, logs line by line, sentences on screen.
Only the standard library is needed, and a text without secrets costs a search for a few short strings.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, AnyStr, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit

REDACTED = "[redacted]"
SHORTEST = 8
"""Characters from which on a variable's value is a secret; `1` or `true` would be replaced everywhere."""
SHORTEST_PART = 12
"""Characters from which on the beginning of a value is replaced where its end is cut off, if it is half of it."""

_SECRET = re.compile(
    "(ACCESS|API|AUTH|PRIVATE|SECRET)?(KEY|TOKEN)S?|SECRETS?|PASS(WORDS?|WD|PHRASE)?|PWD|PAT|CREDENTIALS?|AUTH|COOKIE"
)
"""A word that makes the name of a variable that of a secret."""
_PLACE = ("FILE", "PATH", "DIR", "SOCK")
"""Last words of names that say where a secret is, not what."""
_NO_SECRET = ("PWD", "OLDPWD")

_PARAMETER = (
    r"(?i)([?&;](?:[\w.-]*(?:token|secret|passw(?:or)?d|signature|credentials?|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|auth)|key|sig|pwd)=)[^&;\s#\"'<>]+"
)
_SHAPES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (sign, re.compile(pattern, re.DOTALL), replacement)
    for sign, pattern, replacement in (
        ("PRIVATE KEY-----", r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", REDACTED),
        (":", r"(:\\?/(?:\\?/)?)[^\s/?#\"'<>]+@", rf"\1{REDACTED}@"),
        ("=", _PARAMETER, rf"\1{REDACTED}"),
        ("earer", r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}", rf"\1{REDACTED}"),
        ("hf_", r"hf_[A-Za-z0-9]{20,}", REDACTED),
        ("sk-", r"(?<![\w-])sk-(?=[\w-]*\d)[\w-]{20,}", REDACTED),
        ("gh", r"gh[pousr]_[A-Za-z0-9]{20,}", REDACTED),
        ("github_pat_", r"github_pat_\w{20,}", REDACTED),
        ("glpat-", r"(?<![\w-])glpat-[\w-]{20,}", REDACTED),
        ("xox", r"(?<![\w-])xox[abeprs]-[\w-]{10,}", REDACTED),
        ("AKIA", r"AKIA[A-Z0-9]{16}", REDACTED),
        ("ASIA", r"ASIA[A-Z0-9]{16}", REDACTED),
        ("AIza", r"AIza[\w-]{35}", REDACTED),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+", REDACTED),
    )
)
"""(what every match holds, pattern, replacement): secrets wherever they appear."""

T = TypeVar("T")


class Redactor:
    """Replaces the secrets of one environment, and all that look like one, by `[redacted]`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        forms = {form for value in _values(environment) if len(value) >= SHORTEST for form in _forms(value)}
        self._values = sorted(forms, key=lambda form: (-len(form), form))  # a whole before its parts

    def __call__(self, text: AnyStr) -> AnyStr:
        """The text without secrets. Bytes that are no UTF-8 stay as they are."""
        if isinstance(text, bytes):
            return self._text(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return self._text(text)

    def _text(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, REDACTED)
        for value in self._values:
            text = _without_beginning(text, value)
        for sign, pattern, replacement in _SHAPES:
            if sign in text:
                text = pattern.sub(replacement, text)
        return text


def make_redactor() -> Redactor:
    """The redactor of this process's environment as it is now."""
    return Redactor(os.environ)


def without_secrets(value: T, redact: Callable[[str], str]) -> T:
    """A value of dataclasses, mappings, lists and texts with every text redacted, the keys of mappings too."""
    cleaned: Any = value
    if isinstance(value, str):
        cleaned = redact(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        cleaned = dataclasses.replace(value, **{name: without_secrets(item, redact) for name, item in fields.items()})
    elif isinstance(value, Mapping):
        cleaned = {without_secrets(key, redact): without_secrets(item, redact) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        # Most lists are scores, and there is nothing to do for a number.
        items = [item if type(item) is float else without_secrets(item, redact) for item in value]
        cleaned = items if isinstance(value, list) else tuple(items)
    return cleaned  # type: ignore[no-any-return]


def is_secret(name: str) -> bool:
    """Whether the name of an environment variable says that its value is a secret."""
    words = re.findall("[A-Z]+", name.upper())
    return any(map(_SECRET.fullmatch, words)) and words[-1] not in _PLACE and name.upper() not in _NO_SECRET


def _values(environment: Mapping[str, str]) -> Iterable[str]:
    """The secrets of an environment: secret variables whole and line by line, passwords in URLs of the others."""
    for name, value in environment.items():
        if is_secret(name):
            yield from (value, value.strip(), " ".join(value.split()), *(line.strip() for line in value.splitlines()))
        elif "://" in value:
            yield from _of_url(value)


def _of_url(text: str) -> Iterable[str]:
    try:
        url = urlsplit(text)
        secret = url.password or url.username
    except ValueError:
        return
    if secret:
        yield from (secret, unquote(secret))


def _without_beginning(text: str, value: str) -> str:
    """The text without the first half of a value or more, which is left where a message grew too long."""
    head = value[: max(SHORTEST_PART, len(value) // 2)]
    start = text.find(head)
    while start >= 0:
        end = start + len(head)
        while text[end : end + 1] == value[end - start : end - start + 1] != "":
            end += 1
        text = text[:start] + REDACTED + text[end:]
        start = text.find(head, start + len(REDACTED))
    return text


def _forms(value: str) -> set[str]:
    """The value as it stands in JSON, in Python's `repr` and in URLs."""
    raw = value.encode("utf-8", "surrogateescape")
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in quoted}
    plain = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return plain | quoted | lower

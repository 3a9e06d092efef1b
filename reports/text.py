"""Text as it may be shown: names and messages come from users, data and libraries, and may hold what deceives."""

from __future__ import annotations

import re

_UNSEEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def seen(text: str) -> str:
    """The text with `�` for what terminals obey, XML refuses, or turns the direction of what stands around it."""
    return _UNSEEN.sub("�", text)

"""The leaderboard as one HTML file: no external resource, sortable columns, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.content import TITLE, Section

_TEMPLATES = Path(__file__).parent / "templates"


def render(sections: Sequence[Section]) -> str:
    """The whole page. Every text is escaped: names and messages come from users, data and libraries."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("leaderboard.html.j2").render(title=TITLE, sections=sections)

"""The leaderboard as one HTML file: no external resource, sortable columns, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.format import replace_hidden
from reports.sections.page import TITLE, Section
from reports.svg import axes

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(sections: Sequence[Section]) -> str:
    """The whole page. Every text is escaped: names and messages come from users, data and libraries."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=lambda value: replace_hidden(value) if type(value) is str else value,  # not the markup, which is ours
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("leaderboard.html.j2").render(
        title=TITLE,
        sections=sections,
        plot_style=Markup(axes.STYLE),
        svg=lambda plot: Markup(plot.svg(alone=False)),
    )

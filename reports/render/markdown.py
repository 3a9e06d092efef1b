"""The leaderboard as Markdown that can also be read as plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.format import replace_hidden
from reports.sections.chapter import Chapter
from reports.sections.grid import Grid
from reports.sections.page import TITLE, Section

_OPENING = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=[-#>+|~=_:\[]))")
"""Begins a list, a heading, a quotation, a table, a fence, a rule or the target of a link."""


def render_markdown(sections: Sequence[Section]) -> str:
    """The whole file, with a newline at its end."""
    blocks = [f"# {TITLE}"]
    for section in sections:
        blocks += _render_section(section)
    return "\n\n".join(blocks) + "\n"


SHORT = ("rank", "method", "seeds", "ROUGE-L", "gain in ROUGE-L", "held-out loss", "train time")
"""Columns of the ranking that a terminal has room for."""


def render_summary(section: Section) -> str:
    """Heading, answer and the narrow columns of the ranking."""
    grid = section.ranking
    chosen = [column for column, title in enumerate(grid.header) if title in SHORT]
    narrow = Grid(
        tuple(grid.header[column] for column in chosen),
        tuple(grid.right[column] for column in chosen),
        tuple(tuple(row[column] for column in chosen) for row in grid.rows),
    )
    return f"{replace_hidden(section.heading)}: {replace_hidden(section.answer)}\n\n{_render_table(narrow)}"


def _render_section(section: Section) -> list[str]:
    blocks = [f"## {_render_inline(section.heading)}", _render_inline(section.answer)]
    blocks += [f"> {_render_block(note)}" for note in section.notes]
    blocks += [
        "### What was compared",
        "\n".join(f"- {label}: {_render_inline(text)}" for label, text in section.facts),
    ]
    blocks += ["### Ranking", _render_table(section.ranking)]
    blocks += [_render_block(note) for note in section.footnotes]
    for chapter in section.chapters:
        blocks += _render_chapter(chapter)
    if section.failures:
        blocks += ["### What failed, and why", _render_table(section.failures)]
    if section.settings:
        blocks += ["### Settings that differ", _render_table(section.settings)]
    if section.warnings:
        blocks += ["### Warnings", "\n".join(f"- {_render_block(warning)}" for warning in section.warnings)]
    return blocks


def _render_chapter(chapter: Chapter) -> list[str]:
    blocks = [f"### {chapter.heading}"]
    if chapter.points:
        blocks.append("\n".join(f"- {_render_block(point)}" for point in chapter.points))
    for heading, grid in chapter.grids:
        blocks += [*_render_heading(heading), _render_table(grid)]
    blocks += [_render_block(note) for note in chapter.footnotes]
    for figure in chapter.figures:
        text = _render_inline(figure.plot.description).replace("[", "\\[").replace("]", "\\]")
        blocks += [*_render_heading(figure.heading), f"![{text}]({figure.file})", _render_inline(figure.caption)]
    return [block for block in blocks if block]


def _render_heading(text: str) -> list[str]:
    return [f"#### {text}"] if text else []


def _render_table(grid: Grid) -> str:
    rows = [[_render_cell(text) for text in row] for row in grid.rows]
    for row, strong in zip(rows, grid.emphasised, strict=False):
        if strong:
            row[1] = f"**{row[1]}**"
    lines = [[_render_cell(text) for text in grid.header], *rows]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(grid.header))]
    rule = ["-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, grid.right, strict=True)]
    return "\n".join("| " + " | ".join(_pad(line, widths, grid.right)) + " |" for line in [lines[0], rule, *rows])


def _pad(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(line, widths, right, strict=True)
    ]


def _render_cell(text: str) -> str:
    return _render_inline(text).replace("|", "\\|")


def _render_block(text: str) -> str:
    """A line of its own that is a paragraph, whatever it begins with."""
    return _OPENING.sub(r"\1\\", _render_inline(text))


def _render_inline(text: str) -> str:
    """One line that is shown as it is: messages come from libraries and data, and may hold markup."""
    line = replace_hidden(" ".join(text.split()))
    for mark in ("\\", "`", "*", "<"):
        line = line.replace(mark, f"\\{mark}")
    return line.replace("](", "]\\(")  # else a message could bring a link or an image

"""How the help of every command is printed, and what all commands share: `--help`, `--debug`, examples at the end."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

COLUMN = 27
"""Where the texts begin. The longest flags with their values fit before it; 51 characters are left of 80."""
WIDEST = 110
"""Longer lines are hard to read, however wide the terminal is."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """argparse's own with one column for all texts and a widest line."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns - 2, WIDEST)
        super().__init__(prog, max_help_position=COLUMN, width=width)


def add_command(commands: Any, name: str, *, usage: str, help: str, examples: str) -> argparse.ArgumentParser:
    """A subcommand's parser. `usage` is what follows the name; flags belong into groups, which are printed in order."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"%(prog)s {usage}",
        help=help[0].lower() + help[1:].rstrip("."),
        description=help,
        epilog=examples,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    return parser


def add_help(parser: argparse.ArgumentParser) -> None:
    """The last group of every subcommand."""
    group = parser.add_argument_group("help")
    group.add_argument("-h", "--help", action="help", help="print this and exit")
    group.add_argument("--debug", action="store_true", help="print the traceback of an error")

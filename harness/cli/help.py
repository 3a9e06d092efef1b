"""The format of the help of every command, and what all commands share: `--help`, `--debug`, examples at the end."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

COLUMN = 27
"""Column at which help texts begin: the longest flags fit before it, and of 80 columns 51 are left."""
WIDEST = 110
"""Longer lines are hard to read, however wide the terminal is."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """argparse's formatter, with a fixed column for help texts and a maximum width."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns - 2, WIDEST)
        super().__init__(prog, max_help_position=COLUMN, width=width)


def add_command(commands: Any, name: str, *, usage: str, help: str, examples: str) -> argparse.ArgumentParser:
    """Add a subcommand and return its parser. `usage` follows its name; the caller adds flags in groups."""
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


def read_path(text: str) -> Path:
    """A path that a flag gives, `~` expanded also where the shell leaves it, as in `--out=~/runs`; for argparse."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: there is no such home directory ({error})") from error


def add_help(parser: argparse.ArgumentParser) -> None:
    """Add the last group of flags, which every subcommand has."""
    group = parser.add_argument_group("help")
    group.add_argument("-h", "--help", action="help", help="print this and exit")
    group.add_argument("--debug", action="store_true", help="print the traceback of an error")


def list_flags(parser: argparse.ArgumentParser) -> list[str]:
    """All flags of a command as the user types them."""
    return [flag for action in parser._actions for flag in action.option_strings]

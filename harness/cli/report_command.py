"""`report`: make the leaderboards of one or more run directories again, byte for byte."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """examples:
  python -m harness report runs/embedded-embedded
  python -m harness report runs/a runs/b --out runs/both
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "report", help="make leaderboards from records", epilog=EXAMPLES, allow_abbrev=False
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="run directories")
    parser.add_argument("--out", type=Path, help="where to write (the first DIR if not given)")
    parser.set_defaults(action=report)
    return parser


def report(arguments: argparse.Namespace) -> int:
    """Write the leaderboard files and say where they are."""
    from reports.leaderboard import write

    for path in write(arguments.directories, arguments.out or arguments.directories[0]):
        print(path)
    return 0

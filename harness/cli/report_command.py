"""`report`: make the leaderboards of one or more run directories again, byte for byte."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """examples:
  python -m harness report runs/embedded-embedded
  python -m harness report runs/a runs/b --out runs/both
  python -m harness report runs/a --pareto rougeL,peak_host_bytes,train_seconds
  python -m harness report runs/sixty-steps runs/hundred-steps --out runs/all --allow-mixed
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "report", help="make leaderboards from records", epilog=EXAMPLES, allow_abbrev=False
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="run directories")
    parser.add_argument("--out", type=Path, help="where to write (the first DIR if not given)")
    parser.add_argument("--pareto", metavar="METRICS", help="comma-separated: the trade-off whose front is shown")
    parser.add_argument(
        "--allow-mixed", action="store_true", help="one table of what cannot be compared, with a warning"
    )
    parser.set_defaults(action=report)
    return parser


def report(arguments: argparse.Namespace) -> int:
    """Write the leaderboard files and say where they are."""
    from reports.leaderboard import write

    traded = [] if arguments.pareto is None else [name.strip() for name in arguments.pareto.split(",")]
    out = arguments.out or arguments.directories[0]
    for path in write(arguments.directories, out, traded=traded, allow_mixed=arguments.allow_mixed).paths:
        print(path)
    return 0

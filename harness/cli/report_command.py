"""`report`: writes the leaderboards of one or more run directories again, identical to the byte."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.help import add_command, read_path

EXAMPLES = """examples:
  python -m harness report runs/embedded-embedded
  python -m harness report runs/a runs/b --out runs/both
  python -m harness report runs/a --pareto rougeL,peak_host_bytes,train_seconds
  python -m harness report runs/a runs/longer --out runs/all --allow-mixed
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands,
        "report",
        usage="DIR [DIR ...] [flags]",
        help="Write the leaderboards of runs again, from their records.",
        examples=EXAMPLES,
    )
    group = parser.add_argument_group("runs")
    group.add_argument(
        "directories", nargs="+", type=read_path, metavar="DIR", help="run directories, all in one report"
    )
    group.add_argument("--allow-mixed", action="store_true", help="put incomparable records in one leaderboard")
    group = parser.add_argument_group("output")
    group.add_argument("--out", type=read_path, metavar="DIR", help="directory to write to (default the first DIR)")
    group.add_argument("--pareto", metavar="METRICS", help="metrics of the Pareto front, comma-separated")
    parser.set_defaults(action=report)
    return parser


def report(arguments: argparse.Namespace) -> int:
    """Write the leaderboard files and print their paths."""
    from reports.leaderboard import write

    traded = [] if arguments.pareto is None else [name.strip() for name in arguments.pareto.split(",")]
    out = arguments.out or arguments.directories[0]
    for path in write(arguments.directories, out, traded=traded, allow_mixed=arguments.allow_mixed).paths:
        print(path)
    return 0

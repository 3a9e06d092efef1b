"""`recommend`: names the method to use within limits, the reason, the runner-up, and how certain that is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Literal

from harness.cli.help import add_command, read_path
from reports.analysis.limits import RESIDENT, parse_limit
from reports.recommend import PREFERENCES
from reports.records.metrics import METRICS

EXAMPLES = """examples:
  python -m harness recommend runs/embedded-embedded
  python -m harness recommend runs/a --max-memory 8GiB --min-rougeL 0.3

Every built-in metric with a better direction can be limited by its name:
--max-heldout_loss 1.2,
--max-total_seconds 2h, --min-train_tokens_per_second 5000.
"""
NAMED: tuple[tuple[str, Literal["min", "max"], tuple[str, ...], str], ...] = (
    ("--max-memory", "max", RESIDENT, "peak memory: of the GPU, or of the process: 8GiB"),
    ("--max-time", "max", ("train_seconds",), "training time: 90s, 30min, 1h"),
    ("--max-size", "max", ("shipped_bytes",), "size of the saved model or adapter: 100MiB"),
    ("--max-cost", "max", ("cost",), "cost; the runs need --price-per-hour"),
    ("--min-rougeL", "min", ("rougeL",), "quality, from 0 to 1"),
)


def list_limit_flags() -> Iterator[tuple[str, Literal["min", "max"], tuple[str, ...], str]]:
    """(flag, side, metrics, help) of every limit; those with an empty help are hidden in `--help`."""
    yield from NAMED
    taken = {flag for flag, *_ in NAMED}
    for metric in METRICS.values():
        side: Literal["min", "max"] = "min" if metric.direction == "higher" else "max"
        if metric.direction and (flag := f"--{side}-{metric.name}") not in taken:
            yield flag, side, (metric.name,), ""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands,
        "recommend",
        usage="DIR [DIR ...] [flags]",
        help="Say which method to use within limits, and how certain that is.",
        examples=EXAMPLES,
    )
    group = parser.add_argument_group("runs")
    group.add_argument("directories", nargs="+", type=read_path, metavar="DIR", help="run directories")
    group.add_argument("--allow-mixed", action="store_true", help="also compare records that are not comparable")
    group = parser.add_argument_group("limits")
    for flag, _, _, text in list_limit_flags():
        group.add_argument(flag, dest=flag, metavar="LIMIT", help=text or argparse.SUPPRESS)
    group = parser.add_argument_group("choice")
    group.add_argument(
        "--prefer",
        choices=PREFERENCES,
        default="quality",
        metavar="WHAT",
        help=f"{', '.join(PREFERENCES[:-1])} or {PREFERENCES[-1]} (default %(default)s)",
    )
    parser.set_defaults(action=recommend)
    return parser


def recommend(arguments: argparse.Namespace) -> int:
    """Print an answer for each table; return 1 if a table has no method to recommend."""
    from reports.leaderboard import compare, read
    from reports.recommend import recommend_methods

    given = vars(arguments)
    limits = [
        parse_limit(flag, side, names, text)
        for flag, side, names, _ in list_limit_flags()
        if (text := given[flag]) is not None
    ]
    records, _ = read(arguments.directories)
    made = recommend_methods(compare(records, allow_mixed=arguments.allow_mixed), limits, arguments.prefer)
    print("\n\n".join(map(str, made)))
    return 0 if made and all(answer.method for answer in made) else 1

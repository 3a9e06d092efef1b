"""A long storm of faults, for a night or a new machine:

    python -m tests.faults.soak --minutes 30
    python -m tests.faults.soak --faults 1000 --seed 7

Prints the counts; the exit code is 1 if anything was lost, doubled, left over or wrong.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from .rig import restore_interrupt
from .storm import run_storm


def main() -> int:
    """Read the command line, inject faults, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Inject random faults into runs.")
    parser.add_argument("--minutes", type=float, help="for how long")
    parser.add_argument("--faults", type=int, help="how many (200, if no time is given)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the same seed injects faults at the same moments"
    )
    arguments = parser.parse_args()
    faults = arguments.faults if arguments.faults or arguments.minutes else 200
    seconds = float("inf") if arguments.minutes is None else 60 * arguments.minutes
    print(f"seed {arguments.seed}", flush=True)
    restore_interrupt()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_storm(Path(folder), seed=arguments.seed, faults=faults, seconds=seconds)
    print(*figures.format_lines(), sep="\n")
    return 0 if figures.clean else 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m harness.contract --table PAGE`: check every tuner of PEFT and write the results as a table."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from harness.contract import table
from reports.records import files


def main() -> int:
    """Write the table into a page, or print it."""
    parser = argparse.ArgumentParser(prog="python -m harness.contract", description=__doc__)
    parser.add_argument(
        "--table", type=Path, metavar="PAGE", help="page whose table is replaced; without, it is printed"
    )
    parser.add_argument("--tuners", metavar="NAMES", help="these alone, printed; separated by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # PEFT's, of models that were never on a disk
    found = table.format_table(
        _print_progress(arguments.tuners.split(",") if arguments.tuners else table.list_tuners())
    )
    if arguments.table is None or arguments.tuners:
        print(found)
    else:
        page = arguments.table.read_text(encoding="utf-8")
        files.write_text(arguments.table, table.replace_table(page, found))
    return 0


def _print_progress(tuners: list[str]) -> Iterator[table.TunerResult]:
    for one in table.check_tuners(tuners):
        print(f"{one.tuner} {one.family}: {one.text}", file=sys.stderr, flush=True)
        yield one


if __name__ == "__main__":
    sys.exit(main())

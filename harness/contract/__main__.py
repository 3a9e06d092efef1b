"""`python -m harness.contract --table PAGE`: check every tuner of PEFT and write the results as a table."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from harness.contract import table
from harness.streams import prepare_streams
from methods.errors import MethodError
from reports.records import files


def main() -> int:
    """Write the table into a page, or print it; the exit code is 2, with one sentence, if that cannot be done."""
    prepare_streams()
    try:
        return _write_table()
    except (MethodError, OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _write_table() -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.contract", description=__doc__)
    parser.add_argument(
        "--table", type=Path, metavar="PAGE", help="page whose table is replaced; without, it is printed"
    )
    parser.add_argument("--tuners", metavar="NAMES", help="these alone, printed; separated by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # PEFT's, of models that were never on a disk
    page = arguments.table.expanduser() if arguments.table is not None else None
    if page is not None:
        table.replace_table(page.read_text(encoding="utf-8"), "")  # to learn after an hour that it fails is too late
    found = table.format_table(
        _print_progress(arguments.tuners.split(",") if arguments.tuners else table.list_tuners())
    )
    if page is None or arguments.tuners:
        print(found)
    else:
        files.write_text(page, table.replace_table(page.read_text(encoding="utf-8"), found))
    return 0


def _print_progress(tuners: list[str]) -> Iterator[table.TunerResult]:
    for one in table.check_tuners(tuners):
        print(f"{one.tuner} {one.family}: {one.text}", file=sys.stderr, flush=True)
        yield one


if __name__ == "__main__":
    sys.exit(main())

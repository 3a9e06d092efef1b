"""The command line: one file per subcommand. Nothing here imports torch until a run is planned.

Exit codes: 0 all well; 1 some trial failed, or nothing can be recommended; 2 the request was wrong and nothing was
started; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from harness.cli import (
    list_command,
    models_command,
    new_command,
    recommend_command,
    report_command,
    run_command,
)
from harness.errors import HarnessError
from methods.errors import MethodError
from reports.errors import ReportError
from reports.secrets import ours

COMMANDS = (run_command, list_command, report_command, recommend_command, models_command, new_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and carry out one command; return its exit code. Errors of the request end in one sentence."""
    parser = build_parser()
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(words)
    arguments.words = words  # to be said again where a command can be resumed
    try:
        return int(arguments.action(arguments))
    except (HarnessError, MethodError, ReportError) as error:
        return _fail(str(error), arguments.debug)
    except BrokenPipeError:  # whoever reads along has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain while it ends
        return 128 + signal.SIGPIPE  # as of a program that the signal ends
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", arguments.debug)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand."""
    parser = argparse.ArgumentParser(
        prog="python -m harness",
        description="Fine-tune one base model with several methods under one runner, and see which to use.",
        epilog="example: python -m harness run --methods lora,qlora",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = command.add_to(commands)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _fail(sentence: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {ours()(' '.join(sentence.split()))}", file=sys.stderr)
    return 2

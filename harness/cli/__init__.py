"""The command line: one file per subcommand. Nothing here imports torch until a run is planned.

Exit codes: 0 success; 1 some trial failed, or no method can be recommended; 2 the request was wrong and nothing was
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
from harness.cli.help import HelpFormatter, add_help, list_flags
from harness.errors import HarnessError, SpecError
from harness.streams import prepare_streams
from methods.errors import MethodError, find_near_names
from reports.errors import ReportError
from reports.records.secrets import make_redactor

COMMANDS = (run_command, list_command, report_command, recommend_command, models_command, new_command)
EXAMPLES = """examples:
  python -m harness run --methods lora,qlora    fine-tune and rank them
  python -m harness list methods                list the methods to compare
  python -m harness COMMAND --help              show the flags of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run one command; return its exit code. A wrong request prints one sentence."""
    prepare_streams()
    parser = build_parser()
    words = sys.argv[1:] if argv is None else list(argv)
    arguments, unknown = parser.parse_known_args(words)
    arguments.words = words  # for the message that says how to resume
    try:
        if unknown:
            raise _make_unknown_error(unknown[0], arguments.flags)
        return int(arguments.action(arguments))
    except (HarnessError, MethodError, ReportError) as error:
        return _fail(str(error), arguments.debug)
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python does not print an error at exit
        return 128 + signal.SIGPIPE  # the exit code of a program that SIGPIPE ends
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", arguments.debug)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with all subcommands."""
    parser = argparse.ArgumentParser(
        prog="python -m harness",
        usage="%(prog)s COMMAND ...",
        description="Fine-tune a base model with several methods, and see which one to use.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    commands = parser.add_subparsers(title="commands", prog=parser.prog, required=True, metavar="COMMAND ...")
    for command in COMMANDS:
        subparser = command.add_to(commands)
        add_help(subparser)
        subparser.set_defaults(flags=list_flags(subparser))
    parser.add_argument_group("help").add_argument("-h", "--help", action="help", help="print this and exit")
    return parser


def _make_unknown_error(word: str, flags: Sequence[str]) -> SpecError:
    """The error for a word that a subcommand with these flags cannot read."""
    name = word.partition("=")[0]
    if not name.startswith("-"):
        return SpecError(f"unexpected argument {word!r}; --help lists the flags")
    near = find_near_names(name, flags)
    return SpecError(f"unknown flag {name}{f' (did you mean {near[0]}?)' if near else '; --help lists the flags'}")


def _fail(sentence: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {make_redactor()(' '.join(sentence.split()))}", file=sys.stderr)
    return 2

"""`models`: downloads the weights of a preset."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.help import add_command

EXAMPLES = """examples:
  python -m harness models pull smollm2-135m-instruct
  python -m harness list models
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands, "models", usage="pull NAME", help="Download the weights of a preset.", examples=EXAMPLES
    )
    group = parser.add_argument_group("what")
    group.add_argument("verb", choices=["pull"], metavar="pull", help="download, check and convert, once")
    group.add_argument("name", metavar="NAME", help="a preset; see `list models`")
    parser.set_defaults(action=pull)
    return parser


def pull(arguments: argparse.Namespace) -> int:
    """Download, check and convert the weights; if that is done already, return at once."""
    from harness.models.pull import pull as fetch

    print(fetch(arguments.name))
    return 0

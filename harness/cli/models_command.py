"""`models`: bring a preset's weights onto this machine."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """examples:
  python -m harness models pull smollm2-135m-instruct
  python -m harness list models
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "models", help="get a model's weights", epilog=EXAMPLES, allow_abbrev=False
    )
    parser.add_argument("verb", choices=["pull"])
    parser.add_argument("name", help="a preset; see `list models`")
    parser.set_defaults(action=pull)
    return parser


def pull(arguments: argparse.Namespace) -> int:
    """Download, check and convert once; a second call returns at once."""
    from harness.models.pull import pull as fetch

    print(fetch(arguments.name))
    return 0

"""`list`: prints the methods, models, tasks, metrics or launchers that can be chosen."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from harness.cli.help import add_command
from harness.errors import SpecError
from harness.spec.variants import format_knob

PRESETS_DIFFER = ("", "A model preset may set other learning rates: docs/models.md")
EXAMPLES = """examples:
  python -m harness list methods
  python -m harness list methods --knobs
  python -m harness list methods lora --knobs
  python -m harness list metrics
  python -m harness list methods --plugin mine.py
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands,
        "list",
        usage="WHAT [METHOD] [flags]",
        help="List methods, models, tasks, metrics or launchers.",
        examples=EXAMPLES,
    )
    group = parser.add_argument_group("what")
    group.add_argument("what", choices=list(ROWS), metavar="WHAT", help=", ".join(ROWS))
    group.add_argument("name", nargs="?", metavar="METHOD", help="with methods: only this method")
    group = parser.add_argument_group("flags")
    group.add_argument("--knobs", action="store_true", help="with methods: also their knobs and defaults")
    group.add_argument("--plugin", action="append", metavar="FILE", help="also list what a Python file defines")
    parser.set_defaults(action=print_list)
    return parser


def print_list(arguments: argparse.Namespace) -> int:
    """Print each name with one line of description; a plugin that cannot be used is listed with the reason."""
    if arguments.plugin:
        from harness.plugins.files import add_files

        add_files(arguments.plugin)
    if arguments.name and arguments.what != "methods":
        raise SpecError(f"list {arguments.what} takes no name; only list methods does")
    rows = list(
        _describe_method(arguments.name, arguments.knobs) if arguments.name else ROWS[arguments.what](arguments.knobs)
    )
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(
            f"{name:<{width}}  {' '.join(text.split())}".rstrip()
        )  # texts of third-party plugins may contain line breaks
    return 0


def _list_methods(knobs: bool) -> Iterable[tuple[str, str]]:
    from methods.registry import all_methods

    for name, found in all_methods():
        if isinstance(found, Exception):
            yield name, f"cannot be used: {found}"
        elif found.role != "fake":
            yield name, found.summary
            if knobs:
                yield from ((f"  {name}.{knob}", format_knob(value)) for knob, value in found().settings().items())
    if knobs:
        yield PRESETS_DIFFER


def _describe_method(name: str, knobs: bool) -> Iterable[tuple[str, str]]:
    """One method with the meaning of its knobs. Raises `MethodError` for an unknown or unusable method."""
    from methods.registry import get

    found = get(name)
    yield name, found.summary
    if knobs:
        from methods.knobs import explain_knobs

        texts = explain_knobs(found.Config)
        yield from (
            (f"  {name}.{knob}={format_knob(value)}", texts[knob]) for knob, value in found().settings().items()
        )
        yield PRESETS_DIFFER


def _list_models(_: bool) -> Iterable[tuple[str, str]]:
    from harness.models.presets import PRESETS

    yield from ((preset.name, preset.summary) for preset in PRESETS.values() if not preset.hidden)
    yield "DIRECTORY", "a local directory with config.json, safetensors and a tokenizer"
    yield "ORG/NAME[@REVISION]", "a model on the hub"


def _list_tasks(_: bool) -> Iterable[tuple[str, str]]:
    from harness.tasks import summarise_tasks

    yield from summarise_tasks().items()


def _list_metrics(_: bool) -> Iterable[tuple[str, str]]:
    from harness.scoring.registry import all_metrics

    for name, found in all_metrics():
        if isinstance(found, Exception):
            yield name, f"cannot be used: {found}"
        else:
            missing = found.missing()
            yield name, found.summary + (f' (not installed: pip install "{missing}")' if missing else "")
    yield "MODULE:FUNCTION", "a function of your own: docs/metrics.md"
    yield "evaluate:DIR_OR_NAME", "a metric script of Hugging Face's evaluate, local or on the hub: docs/metrics.md"


def _list_launchers(_: bool) -> Iterable[tuple[str, str]]:
    from harness.launchers.registry import list_launchers

    for name, found in list_launchers():
        yield name, f"cannot be used: {found}" if isinstance(found, Exception) else found.summary


ROWS = {
    "methods": _list_methods,
    "models": _list_models,
    "tasks": _list_tasks,
    "metrics": _list_metrics,
    "launchers": _list_launchers,
}

"""`list`: what there is to choose from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from harness.cli.help import add_command
from harness.errors import SpecError
from harness.spec.variants import typed

PRESETS_DIFFER = ("", "A preset may set other learning rates that suit its model: docs/models.md")
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
    group.add_argument("name", nargs="?", metavar="METHOD", help="with methods: this one alone")
    group = parser.add_argument_group("flags")
    group.add_argument("--knobs", action="store_true", help="with methods: knobs and defaults; of one, meanings")
    group.add_argument("--plugin", action="append", metavar="FILE", help="list what a Python file brings, too")
    parser.set_defaults(action=show)
    return parser


def show(arguments: argparse.Namespace) -> int:
    """Print names and one line each; a plugin that cannot be used is listed with the reason."""
    if arguments.plugin:
        from harness.plugins.files import add_files

        add_files(arguments.plugin)
    if arguments.name and arguments.what != "methods":
        raise SpecError(f"list {arguments.what} takes no name; list methods does")
    rows = list(_method(arguments.name, arguments.knobs) if arguments.name else ROWS[arguments.what](arguments.knobs))
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {' '.join(text.split())}".rstrip())  # what others say of theirs may have line ends
    return 0


def _methods(knobs: bool) -> Iterable[tuple[str, str]]:
    from methods.registry import all_methods

    for name, found in all_methods():
        if isinstance(found, Exception):
            yield name, f"cannot be used: {found}"
        elif found.role != "fake":
            yield name, found.summary
            if knobs:
                yield from ((f"  {name}.{knob}", typed(value)) for knob, value in found().settings().items())
    if knobs:
        yield PRESETS_DIFFER


def _method(name: str, knobs: bool) -> Iterable[tuple[str, str]]:
    """One method, with what its knobs mean. Raises `MethodError` for a name of none and for one that cannot be used."""
    from methods.registry import get

    found = get(name)
    yield name, found.summary
    if knobs:
        from methods.knobs import explain_knobs

        texts = explain_knobs(found.Config)
        yield from ((f"  {name}.{knob}={typed(value)}", texts[knob]) for knob, value in found().settings().items())
        yield PRESETS_DIFFER


def _models(_: bool) -> Iterable[tuple[str, str]]:
    from harness.models.presets import PRESETS

    yield from ((preset.name, preset.summary) for preset in PRESETS.values() if not preset.hidden)
    yield "DIRECTORY", "a local directory with config.json, safetensors and a tokenizer"
    yield "ORG/NAME[@REVISION]", "a model on the hub"


def _tasks(_: bool) -> Iterable[tuple[str, str]]:
    from harness.tasks import summarise_tasks

    yield from summarise_tasks().items()


def _metrics(_: bool) -> Iterable[tuple[str, str]]:
    from harness.scoring.registry import all_metrics

    for name, found in all_metrics():
        if isinstance(found, Exception):
            yield name, f"cannot be used: {found}"
        else:
            missing = found.missing()
            yield name, found.summary + (f' (not installed: pip install "{missing}")' if missing else "")
    yield "MODULE:FUNCTION", "a function of yours: docs/metrics.md"
    yield "evaluate:DIR_OR_NAME", "a metric script of Hugging Face's evaluate, here or on the hub: docs/metrics.md"


def _launchers(_: bool) -> Iterable[tuple[str, str]]:
    from harness.launchers.registry import all_launchers

    for name, found in all_launchers():
        yield name, f"cannot be used: {found}" if isinstance(found, Exception) else found.summary


ROWS = {"methods": _methods, "models": _models, "tasks": _tasks, "metrics": _metrics, "launchers": _launchers}

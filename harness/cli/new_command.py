"""`new`: creates a package for a method of the user's own."""

from __future__ import annotations

import argparse
import keyword
import os
import re
from pathlib import Path
from string import Template
from typing import Any

from harness.cli.help import add_command, read_path

EXAMPLES = """examples:
  python -m harness new method my-method
  python -m harness new method my-method --out packages/my-method
"""
SKELETON = Path(__file__).resolve().parents[1] / "plugins" / "skeleton"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands,
        "new",
        usage="method NAME [--out DIR]",
        help="Create a package for a method of your own, with tests.",
        examples=EXAMPLES,
    )
    group = parser.add_argument_group("what")
    group.add_argument("what", choices=["method"], metavar="method", help="the kind of plugin")
    group.add_argument("name", metavar="NAME", help="the name that users type, such as my-method")
    group.add_argument("--out", type=read_path, metavar="DIR", help="the package's directory (default harness-NAME)")
    parser.set_defaults(action=create_package)
    return parser


def create_package(arguments: argparse.Namespace) -> int:
    """Write a working package that passes its own tests. Raises `SpecError` for a bad name or directory."""
    words = derive_names(arguments.name)
    folder = arguments.out or Path(words["package"])
    files = write_skeleton(folder, words)
    print("\n".join(f"wrote {folder / file}" for file in files))
    print(f"next: cd {folder} and follow README.md")
    return 0


def derive_names(name: str) -> dict[str, str]:
    """Derive the names in the skeleton from the method's name. Raises `SpecError` for a bad or a taken name."""
    from harness.errors import SpecError
    from methods.registry import CATALOGUE

    if not _NAME.fullmatch(name) or len(name) > 40 or keyword.iskeyword(name):
        raise SpecError(
            f"{name!r} cannot be the name of a method: it must begin with a letter and have letters and digits, with "
            "single hyphens or underscores between them, at most 40 in all, and be no keyword of Python"
        )
    if taken := CATALOGUE.origins().get(name):
        raise SpecError(f"the method name {name!r} is taken by {taken[0]}; choose another")
    parts = re.split("[-_]", name)
    return {
        "name": name,
        "cls": "".join(part[0].upper() + part[1:] for part in parts),
        "package": f"harness-{'-'.join(parts).lower()}",
        "module": f"harness_{'_'.join(parts).lower()}",
    }


def write_skeleton(folder: Path, words: dict[str, str]) -> list[str]:
    """Write the skeleton into a new folder and return the file names. Raises `SpecError` if the folder exists."""
    from harness.errors import SpecError
    from harness.names import is_valid_path
    from reports.records.files import draft_folder, write_text

    if not is_valid_path(str(folder)):
        raise SpecError(f"--out {str(folder)!r} cannot be the name of a directory")
    if os.path.lexists(folder):
        raise SpecError(f"{folder} already exists and is not overwritten; choose another --out")
    written = []
    with draft_folder(folder) as draft:
        for template in sorted(SKELETON.rglob("*.tmpl")):
            file = template.relative_to(SKELETON).with_suffix("")
            place = draft / (f"{words['module']}.py" if file.name == "method.py" else file)
            write_text(place, Template(template.read_text(encoding="utf-8")).substitute(words))
            written.append(str(place.relative_to(draft)))
    return written

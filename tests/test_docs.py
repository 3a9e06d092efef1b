"""What the pages say of the code is true: paths, modules, links, the tree, the walks, and the README's example."""

from __future__ import annotations

import contextlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("harness", "methods", "reports", "tests")
GROUPS = {"harness.methods", "harness.metrics", "harness.tasks", "harness.launchers"}
"""Groups of entry points, which look like modules."""


def take_section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    rest = text[text.index(f"\n{heading}\n") :].partition(heading)[2]
    return re.split(rf"\n#{{1,{level}}} ", rest)[0]


def list_walk(heading: str) -> list[str]:
    """The files of a walk, in its order."""
    return re.findall(r"^\d+\. `([^`]+)`", take_section(ARCHITECTURE, heading), re.MULTILINE)


def test_the_tree_has_every_source_file_once_by_its_path():
    block = take_section(ARCHITECTURE, "## Every file").split("```")[1]
    written = [line.split()[0] for line in block.splitlines() if line.strip()]
    expanded = [
        path
        for entry in written
        for path in (
            [found.relative_to(ROOT).as_posix() for found in ROOT.glob(entry)]
            if "*" in entry
            else [f"{entry}__init__.py" if entry.endswith("/") else entry]
        )
    ]
    sources = [path.relative_to(ROOT).as_posix() for name in FOLDERS[:3] for path in (ROOT / name).rglob("*.py")]
    assert sorted(expanded) == sorted(sources)


@pytest.mark.parametrize(
    "heading",
    [
        "### From the command line to the record",
        "### An example from its file to the loss",
        "### From a record to a cell of the leaderboard",
    ],
)
def test_a_walk_names_files_that_exist_and_none_twice(heading):
    files = list_walk(heading)
    numbers = re.findall(r"^(\d+)\. ", take_section(ARCHITECTURE, heading), re.MULTILINE)
    assert len(files) >= 10
    assert [int(number) for number in numbers] == list(range(1, len(files) + 1))
    assert not [file for file in files if not (ROOT / file).is_file()]
    assert len(set(files)) == len(files)


@contextlib.contextmanager
def record_files() -> Iterator[list[str]]:
    """The project's files in the order in which their functions are first called."""
    found: dict[str, None] = {}

    def see(frame: FrameType, event: str, _: object) -> None:
        # Bodies of modules and classes run when they are imported, which says nothing of the way of the data.
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            found.setdefault(frame.f_code.co_filename)

    reached: list[str] = []
    earlier = sys.getprofile()
    sys.setprofile(see)
    try:
        yield reached
    finally:
        sys.setprofile(earlier)
        paths = [Path(name) for name in found]
        reached += [path.relative_to(ROOT).as_posix() for path in paths if path.is_relative_to(ROOT)]


def test_a_record_comes_to_its_cell_as_the_page_says(tmp_path):
    from reports.leaderboard import write

    with record_files() as reached:
        write([ROOT / "docs" / "results" / "first-run"], tmp_path)
    walk = list_walk("### From a record to a cell of the leaderboard")
    assert [file for file in reached if file in walk] == [file for file in walk if not file.endswith("/grid.py")]


def test_a_run_goes_through_the_files_that_the_page_names(run_here, tmp_path):
    """In one process and with a toy: what starts processes, PyTorch or a real training is not reached."""
    with record_files() as reached:
        done = run_here(
            "run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5", cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    missing = set(list_walk("### From the command line to the record")) - set(reached)
    assert missing == {
        *("harness/__main__.py", "harness/launchers/local.py", "harness/launchers/supervisor.py"),
        *("harness/worker/__main__.py", "harness/models/transformers_backend.py", "methods/engine/training.py"),
    }


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "results" / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_modules_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/.*-]*\w\.(?:py|md|txt)\b", text):
        assert any(ROOT.glob(path)) or f"```python\n# {path}\n" in text, path  # or a file that a reader is to write
    for name in re.findall(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})(?:\.[a-z_]\w*)+(?![\w/(])", text):
        if name not in GROUPS and not name.endswith((".md", ".html", ".csv", ".svg")):
            assert has_module(name), name


def has_module(name: str) -> bool:
    """Whether a dotted name is a module, or something inside one."""
    parts = name.split(".")
    for depth in (len(parts), len(parts) - 1):
        place = ROOT.joinpath(*parts[:depth])
        if place.is_dir() or place.with_suffix(".py").is_file():
            if depth == len(parts):
                return True
            source = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
            return re.search(rf"\b{parts[-1]}\b", source.read_text(encoding="utf-8")) is not None
    return False


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"^- \[[^\]]+\]\(([\w-]+\.md)\): ", index, re.MULTILINE)) == pages


def test_the_readme_is_short_and_has_the_two_commands():
    assert len(README.splitlines()) <= 150
    assert "\npip install -c constraints.txt -e . && python -m harness run --methods lora,qlora\n" in README
    assert "\npip install tox && tox\n" in README


def read_table(text: str, first: str) -> dict[str, dict[str, str]]:
    """Method, its knobs left out → title → cell of the Markdown table whose head begins so, blanks aside."""
    head = re.search(r"^" + re.sub(r"\\ ", r"\\s+", re.escape(first)), text, re.MULTILINE)
    lines = [line for line in text[head.start() :].split("\n\n")[0].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.sub(r"[*`]", "", line).strip("|").split("|")] for line in lines]
    head = rows[0]
    return {row[head.index("method")].partition("[")[0]: dict(zip(head, row, strict=True)) for row in rows[2:]}


def test_the_readme_shows_the_leaderboard_that_is_in_the_results():
    shown = read_table(README, "| rank | method")
    leaderboard = (ROOT / "docs" / "results" / "verdict-embedded" / "leaderboard.md").read_text(encoding="utf-8")
    real = read_table(leaderboard, "| rank | method")
    titles = {"peak tensors": "peak tensors (CPU)"}
    assert list(shown) == list(real)
    for method, cells in shown.items():
        wanted = {title: real[method][titles.get(title, title)] for title in cells}
        assert cells == {**wanted, "method": method}


def test_the_tutorial_shows_what_its_records_say(tmp_path):
    """Where reports say something in other words, the page has to follow."""
    from reports.leaderboard import write

    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    written = write([ROOT / "docs" / "results" / "first-run"], tmp_path)
    leaderboard = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert written.summary in tutorial
    shown = take_section(leaderboard, "### What was compared").strip().splitlines()
    shown += re.findall("^- .*$", take_section(leaderboard, "### Are the differences real?"), re.MULTILINE)
    assert not [line for line in shown if line not in tutorial]
    real = read_table(leaderboard, "| rank | method")
    for first in ("| rank | method | ROUGE-L", "| method | trainable", "| method | output length"):
        whole = real if "output" not in first else read_table(leaderboard, first)
        for method, cells in read_table(tutorial, first).items():
            assert cells == {title: whole[method][title] for title in cells}


@pytest.mark.slow
def test_the_method_in_the_readme_passes_the_contract(tmp_path):
    (code,) = re.findall(r"```python\n(# methods/\w+\.py\n.*?)```", README, re.DOTALL)
    (tmp_path / "embeddings.py").write_text(code, encoding="utf-8")
    contract = [*("-p", "harness.contract.option", "--pyargs", "harness.contract"), "--knob", "learning_rate=3e-1"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *contract, "--plugin-file", "embeddings.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_the_yaml_in_the_pages_is_a_spec(tmp_path, monkeypatch):
    import yaml

    from harness.spec.spec import build_spec

    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(# spec\.yaml.*?)```", text, re.DOTALL)
    spec = build_spec(yaml.safe_load(block))
    assert [variant.name for variant in spec.variants][:2] == ["full", "lora[r=64]"]

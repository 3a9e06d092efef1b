"""No encoding of a stream, no locale and no closed stream ends a command, and what is written to files stays UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = ["run", "--model", "toy", "--methods", "toy", "--budget", "steps=2", "--task", "file", "--general-text", "none"]
FIELDS = ["--data", "tränen.jsonl", "--input-field", "text", "--target-field", "summary", "--out", "läufe"]
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENVIRONMENTS = [{"PYTHONIOENCODING": name} for name in ("ascii", "latin-1", "cp1252", "utf-16", "ascii:strict")]
ENVIRONMENTS += [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, C_LOCALE]
NAMES = [",".join("=".join(pair) for pair in environment.items()) for environment in ENVIRONMENTS]


def run(folder: Path, *arguments: str, module: str = "harness", environment: dict[str, str] | None = None, shell=""):
    """A command in a process of its own, whose streams `shell` redirects."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON", "LANG"))}
    variables |= {"PYTHONPATH": str(ROOT), **(environment or {})}
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=120)


def write_data(folder: Path) -> None:
    rows = [{"text": f"текст {n}", "summary": f"Grüße — {n}"} for n in range(20)]
    (folder / "tränen.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=NAMES)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list", "methods"), 0),
        (("run", "--help"), 0),
        (("models", "pull", "größe"), 2),
        (("new", "method", "méthode"), 2),
        (("report", "läufe"), 2),
    ],
)
def test_every_command_writes_what_the_stream_can_hold(tmp_path, environment, arguments, code):
    done = run(tmp_path, *arguments, environment=environment)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr.replace(b"\0", b"")
    assert done.stdout if code == 0 else done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("environment", [ENVIRONMENTS[0], ENVIRONMENTS[3], C_LOCALE], ids=["ascii", "utf-16", "C"])
def test_a_run_ends_and_its_files_are_utf_8(tmp_path, environment):
    write_data(tmp_path)
    done = run(tmp_path, *TOY, *FIELDS, environment=environment)
    assert done.returncode == 0, done.stderr
    assert run(tmp_path, "recommend", "läufe", environment=environment).returncode == 1  # a toy is never ranked
    for path in (tmp_path / "läufe").rglob("*.*"):
        path.read_text(encoding="utf-8")
    (*_, record) = (tmp_path / "läufe" / "records").glob("*.json")
    assert "rows of tränen.jsonl" in json.loads(record.read_text(encoding="utf-8"))["task"]["note"]
    assert "rows of tränen.jsonl" in (tmp_path / "läufe" / "leaderboard.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path, shell):
    assert run(tmp_path, "list", "methods", shell=shell).returncode == 0
    assert run(tmp_path, "run", "--help", shell=shell).returncode == 0
    assert run(tmp_path, "report", "nothing", shell=shell).returncode == 2


@pytest.mark.slow
def test_a_run_with_all_streams_closed_leaves_its_records(tmp_path):
    write_data(tmp_path)
    assert run(tmp_path, *TOY, *FIELDS, shell="<&- >&- 2>&-").returncode == 0
    records = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "läufe" / "records").glob("*.json")]
    assert [record["status"] for record in records] == ["ok", "ok"]


def test_what_a_stream_lacks_is_replaced(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from harness.scoring.overlap import ExactMatch\n\n\nclass Mine(ExactMatch):\n    name = 'mine'\n"
        "    summary = 'grün — 緑'\n",
        encoding="utf-8",
    )
    listed = {
        name: run(tmp_path, "list", "metrics", "--plugin", "mine.py", environment={"PYTHONIOENCODING": name}).stdout
        for name in ("ascii", "latin-1", "utf-8")
    }
    assert b"gr?n ? ?" in listed["ascii"]
    assert "grün ? ?".encode("latin-1") in listed["latin-1"]
    assert "grün — 緑".encode() in listed["utf-8"]

"""Processes whose parent has ended are found by a variable that they inherited, and killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import pytest

from harness.launchers.orphans import find_children, find_marked, kill_all

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs the /proc of Linux"),
    pytest.mark.own,
]


def test_an_orphan_in_its_own_session_is_found_and_killed():
    mark = uuid.uuid4().hex
    command = ["sh", "-c", "setsid sleep 100 & sleep 0.1"]
    subprocess.run(command, env={**os.environ, "HARNESS_TEST_MARK": mark}, check=True)
    found = find_marked(f"HARNESS_TEST_MARK={mark}")
    assert len(found) == 1
    assert find_marked(f"HARNESS_TEST_MARK={mark[:-1]}") == []
    started = time.monotonic()
    kill_all(lambda: find_marked(f"HARNESS_TEST_MARK={mark}"))
    assert time.monotonic() - started < 5
    assert find_marked(f"HARNESS_TEST_MARK={mark}") == []


def test_children_are_killed_and_reaped():
    process = subprocess.Popen(["sleep", "100"])
    assert process.pid in find_children()
    kill_all(lambda: [pid for pid in find_children() if pid == process.pid])
    assert process.pid not in find_children()
    process.wait()

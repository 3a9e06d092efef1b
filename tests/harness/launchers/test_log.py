"""The log of a trial: whole where it is short, beginning and end where it floods, and never a reason to fail."""

from __future__ import annotations

import re

import pytest

from harness.launchers import log as module
from harness.launchers.log import LONGEST_LINE, Log

pytestmark = pytest.mark.own


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def short(monkeypatch):
    """Limits that are reached soon."""
    monkeypatch.setattr(module, "HEAD_BYTES", 100)
    monkeypatch.setattr(module, "TAIL_BYTES", 50)


def test_what_is_short_is_kept_whole(path):
    path.write_bytes(b"earlier\n")
    log = Log(path)
    for chunk in (b"one\ntw", b"o\n", b"\xff\x00", b" without an end"):
        log.write(chunk)
    log.close()
    assert path.read_bytes() == b"earlier\none\ntwo\n\xff\x00 without an end"


def test_a_line_is_there_as_soon_as_it_is_whole(path):
    log = Log(path)
    log.write(b"one\ntwo")
    assert path.read_bytes() == b"one\n"
    log.close()


def test_a_flood_keeps_beginning_and_end_and_says_what_is_left_out(path, short):
    log = Log(path)
    lines = [b"%09d\n" % number for number in range(1000)]
    for line in lines:
        log.write(line)
    log.close()
    text = path.read_bytes()
    assert text.startswith(b"".join(lines[:10]))
    assert text.endswith(b"".join(lines[-5:]))
    assert len(text) < 220
    left_out = int(re.search(rb"\[(\d+) bytes of output left out here\]", text)[1])
    assert left_out == 1000 * 10 - 100 - 50


def test_a_little_more_than_the_beginning_leaves_nothing_out(path, short):
    log = Log(path)
    log.write(b"123456789\n" * 14)
    log.close()
    assert path.read_bytes() == b"123456789\n" * 14


def test_a_line_that_never_ends_is_written_in_parts(path):
    log = Log(path)
    for _ in range(4):
        log.write(b"x" * LONGEST_LINE)
    assert path.stat().st_size >= 2 * LONGEST_LINE
    log.close()
    assert path.read_bytes() == b"x" * (4 * LONGEST_LINE)


def test_lines_are_cleaned_before_they_are_written(path):
    log = Log(path, lambda line: line.replace(b"secret", b"[redacted]"))
    log.write(b"a sec")
    log.write(b"ret\nand another secret")
    log.close()
    assert path.read_bytes() == b"a [redacted]\nand another [redacted]"


def test_a_full_disk_loses_lines_and_stops_nothing(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    log = Log(tmp_path / "full")
    log.write(b"one\n")
    log.close()


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path):
    log = Log(tmp_path / "none" / "log")
    log.write(b"one\n")
    log.close()
    assert not (tmp_path / "none").exists()

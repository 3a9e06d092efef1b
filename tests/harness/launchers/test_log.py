"""The log of a trial: complete if it is short, else its beginning and end; and it never raises an error."""

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
    """Set small limits."""
    monkeypatch.setattr(module, "HEAD_BYTES", 100)
    monkeypatch.setattr(module, "TAIL_BYTES", 50)


def test_short_output_is_kept_completely(path):
    path.write_bytes(b"earlier\n")
    log = Log(path)
    for chunk in (b"one\ntw", b"o\n", b"\xff\x00", b" without an end"):
        log.write(chunk)
    log.close()
    assert path.read_bytes() == b"earlier\none\ntwo\n\xff\x00 without an end"


def test_a_line_is_written_once_it_is_complete(path):
    log = Log(path)
    log.write(b"one\ntwo")
    assert path.read_bytes() == b"one\n"
    log.close()


def test_of_long_output_the_beginning_and_the_end_are_kept(path, short):
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


def test_output_slightly_over_the_limit_is_kept_completely(path, short):
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


def test_secrets_are_removed_before_lines_are_written(path):
    log = Log(path, lambda line: line.replace(b"secret", b"[redacted]"))
    log.write(b"a sec")
    log.write(b"ret\nand another secret")
    log.close()
    assert path.read_bytes() == b"a [redacted]\nand another [redacted]"


def test_a_full_disk_loses_lines_but_raises_no_error(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    log = Log(tmp_path / "full")
    log.write(b"one\n")
    log.close()


def test_an_unwritable_directory_raises_no_error(tmp_path):
    log = Log(tmp_path / "none" / "log")
    log.write(b"one\n")
    log.close()
    assert not (tmp_path / "none").exists()

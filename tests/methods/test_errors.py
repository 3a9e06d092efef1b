"""What an error says, on one line."""

from __future__ import annotations

import pytest

from methods.errors import describe_error, describe_error_with_type, find_near_names


@pytest.mark.parametrize(
    ("error", "said", "with_type"),
    [
        (ValueError("one\n  two\tthree"), "one two three", "ValueError: one two three"),
        (SystemExit(), "SystemExit", "SystemExit"),
        (RuntimeError(" \n "), "RuntimeError", "RuntimeError"),
        (ValueError("x" * 500), "x" * 200, f"ValueError: {'x' * 200}"),
    ],
)
def test_an_error_is_one_line_and_never_empty(error, said, with_type):
    assert describe_error(error) == said
    assert describe_error_with_type(error) == with_type


def test_the_line_has_no_end_where_none_is_asked_for():
    assert describe_error(ValueError("x" * 500), None) == "x" * 500
    assert describe_error(ValueError("x" * 500), 300) == "x" * 300


def test_near_names_come_first_whatever_their_capitals():
    assert find_near_names("LORA", ["qlora", "Lora", "full"]) == ["Lora", "qlora"]
    assert find_near_names("zzz", ["qlora", "full"]) == []

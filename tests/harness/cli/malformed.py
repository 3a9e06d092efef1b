"""Malformed values, bytes and requests, from which the tests of refused input draw; and how many were refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TWINS = "toy,toy[warmup=0.05]"
VALID = "the variants 'toy' and 'toy[warmup=0.05]' are the same"
"""What planning says of `TWINS` at its very end: a request that gets so far was valid."""
TOY = ("run", "--model=toy", "--task=toy")
refused: Counter[str] = Counter()
"""Test → malformed inputs that were refused as they should be."""
tracebacks: Counter[str] = Counter()
"""Test → malformed inputs that ended in a traceback."""


def check_counts(tests: Container[str], at_least: int, capsys) -> None:
    """Print how many inputs these tests refused; fail if they are too few, or if one ended in a traceback."""
    counts = {name: count for name, count in refused.items() if name in tests}
    broken = {name: count for name, count in tracebacks.items() if name in tests}
    if len(counts) < 4:
        pytest.skip("counts the inputs of the other tests of this file, which did not run")
    with capsys.disabled():
        print(f"\n{sum(counts.values())} malformed inputs refused, {sum(broken.values())} tracebacks: {counts}")
    assert sum(counts.values()) >= at_least
    assert not broken


def examples(number):
    """Hypothesis settings for this number of examples."""
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


CHARACTERS = st.characters(exclude_categories=())  # half surrogate pairs, NUL and line ends too
TEXT = st.text(CHARACTERS, max_size=12)
ODD = st.sampled_from(
    ["", " ", "\0", "a\0b", "a\nb", "\ud800", "-1", "0", "1.5", "nan", "inf", "1e999", "9" * 5000, "x" * 5000, "[",
     "]", "=", ",", "{input}{input}", "../../x", "/", "~nobody-here", "%s", "${HOME}", "null", "None", "True", "[1, 2]"]
)  # fmt: skip
RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(10**20, 10**40) | TEXT | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
BYTES = st.sampled_from(
    [b"\0", b"\t", b"\xed\xa0\x80", b"[", b"]", b"{", b"}", b": ", b"- ", b"'", b'"', b"&a ", b"*a", b"!!",
     b"%", b"|", b">", b"#", b"\n", b"\r", b"---\n", b"...\n", b"@", b"`", b"? ", b"<<: ", b"\xef\xbb\xbf", b"1", b"0x"]
) | st.binary(min_size=1, max_size=4)  # fmt: skip
DOCUMENTS = st.sampled_from(
    [b"", b"\0", b"[]", b"5", b"a", b"- a\n- b\n", b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"? " * 3000, b"a: b: c",
     b"0x" + b"f" * 5000 + b": 1",
     b"model: !!python/object/apply:os.system ['true']", b"model: !x y", b"methods: *none", b"model: toy\nmodel: toy",
     b"seeds: " + b"9" * 5000, b"seeds: 0x" + b"f" * 5000, b"batch_size: 0x" + b"f" * 5000,
     b"a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
     b"model: [*c,*c,*c,*c,*c,*c,*c,*c]", b"model: &a [*a]", b"seeds: 2020-02-30", b"seeds: 2020-01-01 99:99:99",
     b"budget: {steps: 0b" + b"1" * 20000 + b"}", b"price_per_hour: 1e9999", b"x: !!binary '*'", b"x: !!set {a, b}",
     b"seeds: 1:99:99999999999999999999", b"? [a]\n: b", b"? {a: b}\n: c", b"!!timestamp x: y", b"!!float x: y",
     "model: toy".encode("utf-16"), "model: é".encode("latin-1"), b"\xff\xfe", b"%YAML 9.9\n---\nmodel: toy"]
)  # fmt: skip


@st.composite
def damage(draw, whole: bytes) -> bytes:
    """The content cut off, with something put in or overwritten, or with a part of it twice."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    way = draw(st.sampled_from(["cut", "put", "overwrite", "twice", "encoding"]))
    if way == "cut":
        return whole[:start]
    if way == "twice":
        return whole[:end] + whole[start:]
    if way == "encoding":
        return whole.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-7", "cp037"])))
    put = draw(BYTES)
    return whole[:start] + put + whole[start if way == "put" else start + len(put) :]

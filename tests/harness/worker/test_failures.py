"""Exceptions → status and sentence: want of memory in the words of all that can run out of it."""

from __future__ import annotations

import errno

import pytest

from harness.errors import DataError
from harness.worker.failures import describe_failure
from methods.errors import DivergedError, UnsupportedError


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=str,
)
def test_want_of_memory(error):
    status, sentence = describe_failure(error)
    assert status == "oom"
    assert sentence.startswith("out of memory: ")
    wrapper = ValueError("the model cannot be loaded")
    wrapper.__cause__ = error
    assert describe_failure(wrapper)[0] == "oom"


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (UnsupportedError("it cannot"), "unsupported", "it cannot"),
        (DivergedError(7, 0.5), "diverged", "the training loss became 0.5 at step 7; try a lower learning rate"),
        (DataError("row 3 is empty"), "error", "row 3 is empty"),
        (ValueError("two\nlines"), "error", "ValueError: two lines"),
        (OSError(errno.ENOSPC, ""), "error", "no space is left on the disk; free some, or choose another --out"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_other_endings(error, status, sentence):
    assert describe_failure(error) == (status, sentence)

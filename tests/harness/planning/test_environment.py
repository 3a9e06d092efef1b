"""The description of the environment, and the choice of device and number format."""

from __future__ import annotations

import dataclasses
import getpass
import json
import platform
import socket
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.planning import environment


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("fpu sse avx2 avx512f", "float32"),
        ("fpu avx2 avx512_bf16", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16"),
        ("not_avx512_bf16_at_all", "float32"),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_it_has_instructions_for_it(monkeypatch, tmp_path, flags, dtype):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n")
    monkeypatch.setattr(environment, "_CPUINFO", cpuinfo)
    assert environment.choose_dtype("auto", "cpu") == dtype


def test_a_cpu_with_unknown_instructions_computes_in_float32(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "none")
    assert environment.choose_dtype("auto", "cpu") == "float32"


def test_the_users_choice_of_device_and_dtype_is_used():
    assert environment.choose_dtype("bfloat16", "cpu") == "bfloat16"
    assert environment.choose_device("cpu") == "cpu"


def test_a_missing_device_is_refused():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has the device that the test wants to be absent")
    with pytest.raises(SpecError, match="--device cuda"):
        environment.choose_device("cuda")


def test_the_description_is_complete_and_contains_nothing_private(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_verysecretvalue")
    block = environment.describe_environment("cpu")
    assert block.versions["python"] == platform.python_version()
    assert block.versions["torch"]
    assert block.hardware["cores"] >= 1
    assert block.hardware["memory_bytes"] > 1 << 28
    assert block.hardware["devices"] == []
    assert len(block.code["hash"]) == 16
    text = json.dumps(dataclasses.asdict(block))
    for private in ("hf_verysecretvalue", socket.gethostname(), str(Path.home()), str(Path.cwd())):
        assert private not in text
    if len(getpass.getuser()) > 4:  # shorter names turn up inside words
        assert getpass.getuser() not in text


def test_the_source_hash_changes_with_the_source(monkeypatch, tmp_path):
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(environment, "_SOURCE", tmp_path)
    environment.hash_source_files.cache_clear()
    first = environment.hash_source_files()
    (tmp_path / "harness" / "a.py").write_text("x = 2\n")
    environment.hash_source_files.cache_clear()
    second = environment.hash_source_files()
    environment.hash_source_files.cache_clear()
    assert first != second

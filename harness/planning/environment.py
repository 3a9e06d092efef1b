"""Describes the machine and the software (hardware, versions, state of the code), and chooses device and number format.

The description goes into every record, so it contains no path, no host or user name and no environment variable.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from reports.records.record import Environment

LIBRARIES = (
    *("torch", "transformers", "peft", "bitsandbytes", "tokenizers"),
    *("accelerate", "datasets", "numpy", "regex", "rouge-score", "safetensors", "trl"),
)
"""Packages whose version can change a result or a cost."""
_SOURCE = Path(__file__).resolve().parents[2]
_PACKAGES = ("harness", "methods", "reports")
_CPUINFO = Path("/proc/cpuinfo")
_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def choose_device(asked: str) -> str:
    """`cpu`, `cuda` or `mps`; `auto` takes the first available accelerator. Raises `SpecError` for a missing device."""
    if asked == "cpu":
        return "cpu"
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next((name for name, is_there in there.items() if is_there), "cpu")
    if not there[asked]:
        raise SpecError(f"--device {asked}: PyTorch finds no such device; leave the flag out to use what is available")
    return asked


def choose_dtype(asked: str, device: str) -> str:
    """Name of the compute dtype; `auto` takes bfloat16 if the hardware supports it natively, else float32.

    A CPU without bfloat16 instructions emulates them, about twenty times slower than float32.
    """
    if asked != "auto":
        return asked
    if device == "cuda":
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device == "cpu" and has_fast_bfloat16() else "float32"


def has_fast_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16; false if that is unknown."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", _CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and any(flag in flags[1].split() for flag in _FAST_BFLOAT16)


def describe_environment(device: str) -> Environment:
    """The environment block of a record made on `device`."""
    return Environment(
        hardware={
            "cpu": _read_cpu_model(),
            "cores": _count_cores(),
            "memory_bytes": _read_memory_bytes(),
            "devices": _list_devices(device),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        versions={
            "python": platform.python_version(),
            **{name: _find_version(name) for name in LIBRARIES},
            **_find_cuda_version(device),
        },
        code={**_read_git_state(), "hash": hash_source_files()},
    )


@functools.lru_cache(maxsize=1)
def hash_source_files() -> str:
    """First 16 hex digits of the SHA-256 over every Python file of the project's packages."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for file in sorted((_SOURCE / package).rglob("*.py")):
            digest.update(f"{file.relative_to(_SOURCE).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read_cpu_model() -> str:
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        named = None
    return named[1].strip() if named else platform.processor() or platform.machine()


def _count_cores() -> int:
    # A container or a scheduler may allow fewer cores than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _read_memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _list_devices(device: str) -> list[dict[str, Any]]:
    if device == "cuda":
        import torch

        # A trial uses one device: the current one.
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return [{"name": properties.name, "bytes": properties.total_memory}]
    return [{"name": "Apple GPU", "bytes": None}] if device == "mps" else []


def _find_cuda_version(device: str) -> dict[str, str | None]:
    if device != "cuda":
        return {}
    import torch

    return {"cuda": torch.version.cuda or torch.version.hip}


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@functools.lru_cache(maxsize=1)
def _read_git_state() -> dict[str, Any]:
    """The commit, and whether the packages differ from it; both unknown outside of a git checkout of the project."""
    unknown: dict[str, Any] = {"commit": None, "dirty": None}
    try:
        run = functools.partial(
            subprocess.run, cwd=_SOURCE, capture_output=True, text=True, timeout=10, check=True, encoding="utf-8"
        )
        # An installed copy may lie inside another project's checkout, whose commit means nothing here.
        if Path(run(["git", "rev-parse", "--show-toplevel"]).stdout.strip()).resolve() != _SOURCE:
            return unknown
        commit = run(["git", "rev-parse", "HEAD"]).stdout.strip()
        dirty = bool(run(["git", "status", "--porcelain", "--", *_PACKAGES]).stdout.strip())
    except (OSError, subprocess.SubprocessError):
        return unknown
    return {"commit": commit, "dirty": dirty}

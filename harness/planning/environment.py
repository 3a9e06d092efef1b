"""Where a trial runs: hardware, versions, state of the code; and what device and number format that hardware suits.

What is described here goes into every record, so it holds no path, no host or user name and no environment variable.
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
    *("accelerate", "datasets", "numpy", "rouge-score", "safetensors", "trl"),
)
"""Packages whose version can change a result or a cost."""
_SOURCE = Path(__file__).resolve().parents[2]
_PACKAGES = ("harness", "methods", "reports")
_CPUINFO = Path("/proc/cpuinfo")
_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def choose_device(asked: str) -> str:
    """`cpu`, `cuda` or `mps`; `auto` takes the first accelerator there is. Raises `SpecError` for one that is not."""
    if asked == "cpu":
        return "cpu"
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next((name for name, is_there in there.items() if is_there), "cpu")
    if not there[asked]:
        raise SpecError(f"--device {asked}: PyTorch sees no such device here; leave the flag out to use what there is")
    return asked


def choose_dtype(asked: str, device: str) -> str:
    """Name of the compute dtype; `auto` takes bfloat16 where the hardware multiplies it natively, else float32.

    A CPU without bfloat16 instructions emulates them, some twenty times slower than float32.
    """
    if asked != "auto":
        return asked
    if device == "cuda":
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device == "cpu" and cpu_has_fast_bfloat16() else "float32"


def cpu_has_fast_bfloat16() -> bool:
    """Whether the CPU names instructions that multiply bfloat16; false where it cannot be asked."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", _CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and any(flag in flags[1].split() for flag in _FAST_BFLOAT16)


def describe(device: str) -> Environment:
    """The provenance block of a record made on `device`."""
    return Environment(
        hardware={
            "cpu": _cpu_model(),
            "cores": _cores(),
            "memory_bytes": _memory_bytes(),
            "devices": _devices(device),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        versions={"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}, **_cuda(device)},
        code={**_git(), "hash": source_hash()},
    )


@functools.lru_cache(maxsize=1)
def source_hash() -> str:
    """First 16 hex digits of the SHA-256 over every Python file of the project's packages."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for file in sorted((_SOURCE / package).rglob("*.py")):
            digest.update(f"{file.relative_to(_SOURCE).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _cpu_model() -> str:
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        named = None
    return named[1].strip() if named else platform.processor() or platform.machine()


def _cores() -> int:
    # Fewer than the machine has where a container or a scheduler says so.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _devices(device: str) -> list[dict[str, Any]]:
    if device == "cuda":
        import torch

        # A trial uses one device: the current one.
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return [{"name": properties.name, "bytes": properties.total_memory}]
    return [{"name": "Apple GPU", "bytes": None}] if device == "mps" else []


def _cuda(device: str) -> dict[str, str | None]:
    if device != "cuda":
        return {}
    import torch

    return {"cuda": torch.version.cuda or torch.version.hip}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@functools.lru_cache(maxsize=1)
def _git() -> dict[str, Any]:
    """Commit and whether the packages differ from it; unknown where the project is not in a checkout of its own."""
    unknown: dict[str, Any] = {"commit": None, "dirty": None}
    try:
        run = functools.partial(
            subprocess.run, cwd=_SOURCE, capture_output=True, text=True, timeout=10, check=True, encoding="utf-8"
        )
        # An installed copy may lie inside some other project's checkout; its commit would say nothing of ours.
        if Path(run(["git", "rev-parse", "--show-toplevel"]).stdout.strip()).resolve() != _SOURCE:
            return unknown
        commit = run(["git", "rev-parse", "HEAD"]).stdout.strip()
        dirty = bool(run(["git", "status", "--porcelain", "--", *_PACKAGES]).stdout.strip())
    except (OSError, subprocess.SubprocessError):
        return unknown
    return {"commit": commit, "dirty": dirty}

"""Evidence that a killed process ran out of memory: did the kernel's OOM killer kill anything while it ran?

SIGKILL looks the same whoever sends it. Linux counts the kills of its out-of-memory (OOM) killer, for each control
group and for the whole machine. The only evidence is that a counter rose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")

GROUP, MACHINE = "group", "machine"


def count_oom_kills(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> dict[str, int]:
    """OOM kills so far, for `group` (this process's control group) and `machine`; empty where unknown."""
    found = {MACHINE: _read_count(proc / "vmstat"), GROUP: _read_group_count(proc, cgroups)}
    return {scope: count for scope, count in found.items() if count is not None}


def explain_kill(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[str, str]:
    """Status and message for a worker that SIGKILL ended, from the counters at its start and its end."""
    rose = [scope for scope, count in after.items() if count > before.get(scope, count)]
    if GROUP in rose:
        return "oom", "the kernel's OOM killer ended the worker: its control group ran out of memory"
    if MACHINE in rose:
        return "oom", "the kernel's OOM killer was at work on this machine when the worker was killed"
    if after:
        return "error", "the worker was killed (SIGKILL) from outside, not by the kernel's OOM killer"
    return "error", "the worker was killed (SIGKILL); this system does not say whether it ran out of memory"


def _read_group_count(proc: Path, cgroups: Path) -> int | None:
    """The counter of this process's control group (version 1 or 2); a container may see its own group as the root."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            places = [(cgroups / "memory", "memory.oom_control")]
        elif not controllers:
            places = [(cgroups, "memory.events"), (cgroups / "unified", "memory.events")]
        else:
            continue
        for root, name in places:
            for folder in (root / path.lstrip("/"), root):
                if (count := _read_count(folder / name)) is not None:
                    return count
    return None


def _read_count(file: Path) -> int | None:
    try:
        found = re.search(r"^oom_kill (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None

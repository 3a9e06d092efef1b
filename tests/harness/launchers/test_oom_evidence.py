"""The kernel's counters of OOM kills, read from files like its own, and the conclusions from them."""

from __future__ import annotations

import pytest

from harness.launchers.oom_evidence import count_oom_kills, explain_kill

pytestmark = pytest.mark.own

VMSTAT = "pgfault 100\noom_kill 7\nnr_free_pages 5\n"
EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"


@pytest.fixture
def counters(tmp_path):
    """A function that writes these files below a fake /proc and /sys/fs/cgroup, and counts OOM kills there."""

    def count(**files: str) -> dict[str, int]:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return count_oom_kills(tmp_path / "proc", tmp_path / "cgroup")

    return count


def test_a_group_of_version_2(counters):
    assert counters(
        **{"proc/vmstat": VMSTAT, "proc/self/cgroup": "0::/job/one\n", "cgroup/job/one/memory.events": EVENTS}
    ) == {"machine": 7, "group": 2}


def test_a_container_that_sees_its_own_group_as_the_root(counters):
    assert counters(**{"proc/self/cgroup": "0::/\n", "cgroup/memory.events": EVENTS}) == {"group": 2}
    assert counters(**{"proc/self/cgroup": "0::/../outer\n"}) == {"group": 2}


def test_a_group_of_version_1(counters):
    groups = "5:devices:/\n4:cpu,memory:/job\n0::/\n"
    assert counters(**{"proc/self/cgroup": groups, "cgroup/memory/job/memory.oom_control": CONTROL}) == {"group": 4}


def test_both_versions_side_by_side(counters):
    files = {"proc/self/cgroup": "1:name=systemd:/\n0::/job\n", "cgroup/unified/job/memory.events": EVENTS}
    assert counters(**files) == {"group": 2}


def test_an_old_kernel_counts_nothing(counters):
    files = {"proc/vmstat": "pgfault 1\n", "proc/self/cgroup": "4:memory:/\n"}
    assert counters(**files, **{"cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}) == {}


def test_a_system_without_proc_counts_nothing(tmp_path):
    assert count_oom_kills(tmp_path / "proc", tmp_path / "cgroup") == {}


@pytest.mark.parametrize(
    ("before", "after", "status", "said"),
    [
        ({"group": 2, "machine": 7}, {"group": 3, "machine": 8}, "oom", "its control group ran out of memory"),
        ({"group": 2, "machine": 7}, {"group": 2, "machine": 8}, "oom", "at work on this machine"),
        ({"group": 2, "machine": 7}, {"group": 2, "machine": 7}, "error", "from outside"),
        ({"machine": 7}, {"machine": 7}, "error", "from outside"),
        ({}, {"group": 3}, "error", "from outside"),  # a counter that was not there before proves nothing
        ({}, {}, "error", "does not say whether"),
    ],
)
def test_conclusions_from_the_counters(before, after, status, said):
    found, sentence = explain_kill(before, after)
    assert found == status
    assert said in sentence

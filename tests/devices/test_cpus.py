"""Threads follow affinity and quota, whichever version of cgroups states it."""

import os
from pathlib import Path

import pytest
import torch

from fashionbench.devices import cpus
from fashionbench.devices.cpus import allowed_cpus, cpu_quota, default_threads, governor, limit_threads, usable_cpus


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/cpu.max": "1 100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({}, None),
    ],
    ids=["v2", "v2 without limit", "v2 around", "v2 both", "v1 in a container", "v1 without limit", "not Linux"],
)
def test_the_quota_of_either_version_is_read(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    write(tmp_path, files)

    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "cpus_left"), [("50000", 1), ("100000", 1), ("100000000", len(allowed_cpus()))])
def test_usable_cpus_are_the_quota_in_whole_ones_and_never_more_than_allowed(
    tmp_path: Path, quota: str, cpus_left: int
) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000\n"})

    assert usable_cpus(tmp_path) == cpus_left


def test_without_a_quota_all_allowed_cpus_are_usable(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == len(allowed_cpus())


@pytest.mark.threads
@pytest.mark.parametrize(("usable", "threads"), [(1, 1), (2, 2), (64, 2)])
def test_threads_are_no_more_than_the_usable_cpus(monkeypatch: pytest.MonkeyPatch, usable: int, threads: int) -> None:
    monkeypatch.setattr(cpus, "usable_cpus", lambda: usable)

    limit_threads()

    assert torch.get_num_threads() == default_threads() == threads


def test_a_system_without_affinity_allows_all_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("psutil.Process.cpu_affinity")

    assert allowed_cpus() == tuple(range(os.cpu_count() or 1))


def test_the_governor_is_named_or_said_to_be_unreadable(tmp_path: Path) -> None:
    first = allowed_cpus()[0]
    assert governor(tmp_path) == "not readable"

    write(tmp_path, {f"sys/devices/system/cpu/cpu{first}/cpufreq/scaling_governor": "powersave\n"})

    assert governor(tmp_path) == "powersave"

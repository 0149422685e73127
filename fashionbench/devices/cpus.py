"""How many CPUs this process may use, by affinity and by cgroup quota, and how their clock is governed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import torch

__all__ = ["allowed_cpus", "cpu_quota", "default_threads", "governor", "limit_threads", "usable_cpus"]

ROOT: Final = Path("/")

NOT_READABLE: Final = "not readable"


def allowed_cpus() -> tuple[int, ...]:
    """Return the numbers of the CPUs that this process may run on; all where the system has no affinity (macOS)."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        return tuple(process.cpu_affinity() or ())
    return tuple(range(os.cpu_count() or 1))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many CPUs' worth of time the control groups of this process allow; None where nothing limits it.

    Both versions of Linux's cgroups are read, the limits of the groups around included. A container may see its own
    group as the outermost one.

    Args:
        root: Where ``proc`` and ``sys`` are.

    """
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
            group = mount / path.lstrip("/")
            folders = [each for each in (group, *group.parents) if each.is_relative_to(mount)]
            quotas += [quota for each in folders for quota in _quotas(each)]
    return min(quotas, default=None)


def _quotas(group: Path) -> Iterator[float]:
    """Yield a group's quota, from cgroup v2's file or from v1's two."""
    both = _read(group / "cpu.max") or f"{_read(group / 'cpu.cfs_quota_us')} {_read(group / 'cpu.cfs_period_us')}"
    match both.split():
        case [quota, period] if quota.isdigit() and int(period):  # where there is no limit, quota is max or -1
            yield int(quota) / int(period)


def usable_cpus(root: Path = ROOT) -> int:
    """Return how many CPUs this process can keep busy: those it may run on, or its quota, rounded down, if less."""
    quota, allowed = cpu_quota(root), len(allowed_cpus())
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def default_threads() -> int:
    """Return with how many threads PyTorch is to compute here: its own number, or the usable CPUs if these are fewer.

    PyTorch follows the affinity and ``OMP_NUM_THREADS``, and not the quota: with 64 threads on 2 CPUs' worth of time,
    the system stops them all most of the time.
    """
    return min(torch.get_num_threads(), usable_cpus())


def limit_threads() -> None:
    """Let PyTorch compute with ``default_threads`` from now on."""
    torch.set_num_threads(default_threads())


def governor(root: Path = ROOT) -> str:
    """Return how the system chooses the clock of the allowed CPUs, as Linux names it, or ``not readable``."""
    files = (root / f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor" for number in allowed_cpus())
    found = {_read(file).strip() for file in files} - {""}
    return ", ".join(sorted(found)) or NOT_READABLE


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:  # not on Linux, or a sandbox hides it
        return ""

"""What other processes use of the CPUs, which makes a measurement slower than the model is."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from fashionbench.devices.cpus import allowed_cpus

__all__ = ["LEAST_SECONDS", "CpuLoad", "CpuUse", "read_cpu_use"]

LEAST_SECONDS: Final = 0.5
"""The system counts in hundredths of a second, so a shorter time says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """Seconds of CPU time since the system started, of the CPUs that this process may use."""

    at: float
    """When it was read, on ``time.perf_counter``."""
    total: float
    busy: float
    """Including what a hypervisor gave to others (steal)."""
    own: float
    """Of the own processes."""

    def others_since(self, before: "CpuUse") -> float | None:
        """Return which fraction of the CPUs others used since; None where too little time has passed."""
        if self.at - before.at < LEAST_SECONDS or self.total <= before.total:
            return None
        others = (self.busy - before.busy) - (self.own - before.own)
        return min(1.0, max(0.0, others / (self.total - before.total)))


def read_cpu_use(own: Iterable[psutil.Process]) -> CpuUse:
    """Read the use of the CPUs; ``own`` are the processes that do not count as others."""
    times = psutil.cpu_times(percpu=True)
    chosen = [times[each]._asdict() for each in allowed_cpus() if each < len(times)]
    # the time of a guest system is part of that of users
    total = sum(sum(each.values()) - each.get("guest", 0.0) - each.get("guest_nice", 0.0) for each in chosen)
    idle = sum(each["idle"] + each.get("iowait", 0.0) for each in chosen)
    return CpuUse(at=time.perf_counter(), total=total, busy=total - idle, own=sum(map(_cpu_seconds, own)))


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended, or belongs to somebody else
        return 0.0
    return float(times.user + times.system)


class CpuLoad:
    """Tells after each epoch what others used of the CPUs meanwhile.

    Args:
        own: The processes that do not count as others.

    """

    def __init__(self, own: Iterable[psutil.Process]) -> None:
        self._own = tuple(own)
        self._readings = [read_cpu_use(self._own)]

    def share(self) -> float | None:
        """Return the fraction of the CPUs that others used since the last call, or since earlier ones if that is short.

        None where too little time has passed since this object was made.
        """
        now = read_cpu_use(self._own)
        shares = (now.others_since(before) for before in reversed(self._readings))
        found = next((each for each in shares if each is not None), None)
        older = [each for each in self._readings if now.at - each.at >= LEAST_SECONDS]
        self._readings = [*older[-1:], *self._readings[len(older) :], now]
        return found

"""What other processes use of the CPUs, which makes a measurement slower than the model is, and OpenMP's part in it."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

import psutil
import torch

from fashionbench.devices.cpus import allowed_cpus

__all__ = [
    "LEAST_SECONDS",
    "CpuLoad",
    "CpuUse",
    "SpareThreads",
    "own_processes",
    "read_cpu_use",
    "wait_politely",
    "watch",
]

LEAST_SECONDS: Final = 0.5
"""The system counts in hundredths of a second, so a shorter time says little."""

BUSY_CPUS: Final = 0.25
"""How much of one CPU others may use before waiting threads leave their cores."""

ELEMENTS_PER_THREAD: Final = 2 * 32_768
"""Twice what PyTorch gives a thread at least (``at::internal::GRAIN_SIZE``)."""


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


def own_processes() -> list[psutil.Process]:
    """Return this process and the one that leads the run, which draws the progress."""
    parent = multiprocessing.parent_process()
    own = [psutil.Process()]
    if parent is not None and parent.pid is not None and psutil.pid_exists(parent.pid):
        own.append(psutil.Process(parent.pid))
    return own


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


class SpareThreads:
    """A second team of OpenMP threads, which has nothing to do.

    GNU OpenMP lets a thread that waits for the others spin for milliseconds, on a core that another process may need.
    Where there are more threads than CPUs it spins for microseconds only (``gomp_throttled_spin_count_var`` in
    libgomp's ``env.c``, chosen at each wait in ``wait.h``). A second team makes it so, and its end undoes it. The team
    that computes stays as it is, and so do its results.
    """

    def __init__(self) -> None:
        self._end: threading.Event | None = None

    @property
    def exist(self) -> bool:
        """Whether the second team is there."""
        return self._end is not None

    def be(self, *, wanted: bool) -> None:
        """Start the team where it is wanted, and end it where it is not."""
        if self._end is not None and not wanted:
            self._end.set()
            self._end = None
        elif self._end is None and wanted:
            self._end = threading.Event()
            threading.Thread(target=_have_a_team_until, args=(self._end,), daemon=True).start()


def _have_a_team_until(end: threading.Event) -> None:
    torch.zeros(torch.get_num_threads() * ELEMENTS_PER_THREAD).add_(1)  # each thread has a team of its own
    end.wait()


@cache
def wait_politely() -> None:
    """Let OpenMP's waiting threads leave their cores whenever other processes are busy, for the rest of this process.

    On Linux, where PyTorch's wheels have GNU OpenMP; elsewhere this does nothing. docs/dev/busy.md has the figures.
    """
    if sys.platform == "linux":
        load = CpuLoad(own_processes())
        threading.Thread(target=watch, args=(load, SpareThreads(), len(allowed_cpus())), daemon=True).start()


def watch(load: CpuLoad, spare: SpareThreads, cpus: int, seconds: float = LEAST_SECONDS) -> None:
    """Have spare threads while others use the CPUs, without end.

    Args:
        load: Tells what others use.
        spare: Started and ended here.
        cpus: How many there are to use.
        seconds: Between two looks.

    """
    while True:
        time.sleep(seconds)
        share = load.share()
        if share is not None:
            spare.be(wanted=share * cpus > BUSY_CPUS)

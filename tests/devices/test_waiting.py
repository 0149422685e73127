"""OpenMP's waiting threads spin where the machine is quiet, and leave their cores where it is busy."""

import os
import sys
import time

import pytest
import torch

from fashionbench.devices.cpus import allowed_cpus
from fashionbench.devices.load import CpuLoad, SpareThreads, watch
from fashionbench.running.process.call import call_in_process

SPINNING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def seconds_of_waiting() -> float:
    """Return the most CPU time that this process spent in 30 ms without work, after a computation of all threads."""
    some, spent = torch.ones(10_000_000), []
    for _ in range(20):
        some.sum()
        before = time.process_time()
        time.sleep(0.03)
        spent.append(time.process_time() - before)
    return max(spent)


def waiting_without_with_and_after_spare_threads() -> tuple[float, float, float]:
    torch.set_num_threads(len(allowed_cpus()))
    spare, seconds = SpareThreads(), []
    for wanted in (False, True, False):
        spare.be(wanted=wanted)
        time.sleep(0.2)
        seconds.append(seconds_of_waiting())
    without, with_them, after = seconds
    return without, with_them, after


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP is not GNU's")
@pytest.mark.skipif(len(allowed_cpus()) == 1, reason="a single CPU has no thread that waits for another")
@pytest.mark.skipif(any(map(os.environ.get, SPINNING)), reason="the user has said how threads wait")
def test_spare_threads_end_the_spinning_of_those_that_wait_and_their_end_brings_it_back() -> None:
    without, with_them, after = call_in_process(waiting_without_with_and_after_spare_threads)

    assert with_them < without / 5
    assert with_them < after / 5


class EndError(Exception):
    """The readings have come to their end."""


@pytest.mark.parametrize("cpus", [2, 64])
def test_spare_threads_are_there_while_others_use_a_quarter_of_one_cpu(cpus: int) -> None:
    used = iter([0.2, 0.3, None, 1.0, 0.1])
    seen: list[bool] = []

    class Load(CpuLoad):
        def share(self) -> float | None:
            seen.append(spare.exist)
            for each in used:
                return None if each is None else each / cpus
            raise EndError

    spare = SpareThreads()
    with pytest.raises(EndError):
        watch(Load([]), spare, cpus=cpus, seconds=0.001)

    assert seen == [False, False, True, True, True, False]

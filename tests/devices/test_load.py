"""What others use of the CPUs is told from what the own processes use."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from fashionbench.devices.load import CpuLoad, CpuUse, read_cpu_use


def use(at: float, *, total: float, busy: float, own: float) -> CpuUse:
    return CpuUse(at=at, total=total, busy=busy, own=own)


def test_what_is_busy_and_not_own_is_others() -> None:
    before, after = use(0, total=100, busy=50, own=20), use(1, total=102, busy=51.5, own=20.5)

    assert after.others_since(before) == pytest.approx(0.5)


def test_a_share_is_a_fraction_whatever_the_systems_counting_does() -> None:
    before = use(0, total=100, busy=50, own=20)

    assert use(1, total=102, busy=51, own=22).others_since(before) == 0
    assert use(1, total=102, busy=55, own=20).others_since(before) == 1


def test_too_short_a_time_tells_nothing() -> None:
    before = use(0, total=100, busy=50, own=20)

    assert use(0.1, total=100.2, busy=50.2, own=20).others_since(before) is None
    assert use(2, total=100, busy=50, own=20).others_since(before) is None


def test_a_process_that_has_ended_uses_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(ended.pid)
    ended.wait()

    assert read_cpu_use([process]).own == 0


@pytest.fixture
def busy_process() -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(0.3)
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_a_busy_process_is_seen_unless_it_is_one_of_the_own(busy_process: psutil.Process) -> None:
    theirs, ours = CpuLoad([psutil.Process()]), CpuLoad([psutil.Process(), busy_process])

    time.sleep(1.0)
    all_others, others = theirs.share(), ours.share()

    assert all_others is not None
    assert others is not None
    assert all_others - others > 0.25 / (os.cpu_count() or 1)


def test_a_short_epoch_is_judged_with_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter(
        [
            use(0.0, total=0.0, busy=0.0, own=0.0),
            use(0.3, total=0.6, busy=0.3, own=0.3),
            use(0.6, total=1.2, busy=0.9, own=0.6),
            use(0.9, total=1.8, busy=1.5, own=0.9),
            use(9.9, total=19.8, busy=10.5, own=9.9),
        ]
    )
    monkeypatch.setattr("fashionbench.devices.load.read_cpu_use", lambda _: next(readings))
    load = CpuLoad([])

    shares = [load.share() for _ in range(4)]

    assert shares == [None, pytest.approx(0.25), pytest.approx(0.5), pytest.approx(0.0)]

"""The training clock: a timer that advances only while a model trains and its process runs."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

__all__ = ["TrainingClock"]

SECONDS_BETWEEN_BEATS: Final = 0.1

LEAST_PAUSE_SECONDS: Final = 1.0
"""A shorter standstill is left on the clock: the system's own scheduling may cause it."""


class TrainingClock:
    """A timer that advances only while a model trains; calling it returns its seconds so far.

    While it runs, a thread adds the time that has passed, in beats. A beat that is over a second late, with a training
    thread that has hardly computed since, means that the whole process stood still: it was stopped (Ctrl-Z), or its
    container or virtual machine was suspended. That is no training. A late beat alone does not show it: code that keeps
    Python's global lock delays the thread too.
    """

    def __init__(self) -> None:
        self.standstill_seconds = 0.0
        """How long the process stood still while the clock was on; not part of the clock's seconds."""
        self._seconds = 0.0
        self._last_beat: float | None = None
        self._last_cpu = 0.0
        self._read_cpu: Callable[[], float] = time.process_time
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the seconds trained so far."""
        self._beat()
        return self._seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock advance inside the block."""
        self._read_cpu = _cpu_clock_of_this_thread()
        stop = threading.Event()
        beats = threading.Thread(target=self._beat_until, args=(stop,), daemon=True)
        beats.start()
        self._resume()
        try:
            yield
        finally:
            self._suspend()
            stop.set()
            beats.join()

    @contextmanager
    def off(self) -> Iterator[None]:
        """Turn the running clock off inside the block."""
        self._suspend()
        try:
            yield
        finally:
            self._resume()

    def advance(self, seconds: float) -> None:
        """Let the clock jump ahead by seconds that were measured before."""
        self._seconds += seconds

    def _resume(self) -> None:
        with self._lock:
            self._last_cpu, self._last_beat = self._read_cpu(), time.perf_counter()

    def _suspend(self) -> None:
        self._beat()
        with self._lock:
            self._last_beat = None

    def _beat_until(self, stop: threading.Event) -> None:
        while not stop.wait(SECONDS_BETWEEN_BEATS):
            self._beat()

    def _beat(self) -> None:
        """Add the time since the last beat, but for what the process stood still."""
        with self._lock:
            if self._last_beat is None:
                return
            now, cpu = time.perf_counter(), self._read_cpu()
            passed, computed = now - self._last_beat, cpu - self._last_cpu
            # one that competes with others for the CPUs still computes more than this
            stood_still = passed > LEAST_PAUSE_SECONDS and computed < SECONDS_BETWEEN_BEATS + passed / 10
            standstill = passed - SECONDS_BETWEEN_BEATS if stood_still else 0.0
            self._seconds += passed - standstill
            self.standstill_seconds += standstill
            self._last_beat, self._last_cpu = now, cpu


def _cpu_clock_of_this_thread() -> Callable[[], float]:
    """Return a function that reads, in any thread, how long this one has computed; that of all threads elsewhere."""
    return (
        partial(time.clock_gettime, time.pthread_getcpuclockid(threading.get_ident()))
        if sys.platform == "linux"
        else time.process_time
    )

"""The training clock: a timer that advances only while a model trains."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TrainingClock"]


class TrainingClock:
    """A timer that advances only while a model trains; calling it returns its seconds so far."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._started: float | None = None

    def __call__(self) -> float:
        """Return the seconds trained so far."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._seconds + running

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock advance inside the block."""
        self._started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds = self()
            self._started = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the running clock inside the block."""
        self._seconds = self()
        self._started = None
        try:
            yield
        finally:
            self._started = time.perf_counter()

    def advance(self, seconds: float) -> None:
        """Let the clock jump ahead by seconds that were measured before."""
        self._seconds += seconds

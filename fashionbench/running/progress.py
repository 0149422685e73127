"""What a person sees while cases are measured: a progress bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from fashionbench import units
from fashionbench.devices.device import Device, name_devices
from fashionbench.errors import visible
from fashionbench.training.case import Case
from fashionbench.training.loop import Tick

__all__ = ["Display", "format_duration"]

SECONDS_BETWEEN_LINES: Final = 30.0
TWO_DIGITS: Final = 100
"""Seconds or minutes below this are shown as such."""


def format_duration(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if round(seconds) < TWO_DIGITS:
        return f"{seconds:.0f} s" if round(seconds) else "under 1 s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < TWO_DIGITS else f"{minutes // 60} h {minutes % 60:02d} min"


class Display:
    """Shows the whole run and each case at hand: loss, accuracy so far and time left.

    Args:
        console: Where to; its ``is_terminal`` decides between bars and lines.
        cases: Each case in measuring order, with the seconds it is expected to train; refined by what is measured.
        places: How many cases are measured at once.
        names: How to name each device; None: as the cases need it.

    """

    def __init__(
        self,
        console: Console,
        cases: Sequence[tuple[Case, float]],
        places: int = 1,
        names: Mapping[Device, str] | None = None,
    ) -> None:
        self._console = console
        self._left = list(cases)
        self._total = len(cases)
        self._places = places
        self._running: dict[object, float] = {}
        self.names = name_devices({case.device for case, _ in cases}) if names is None else names
        self._bars = _bars(console)

    def say(self, line: str) -> None:
        """Print one plain line; what a terminal would obey is shown as its escape."""
        self._console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

    def forget(self, case: Case) -> None:
        """Expect a case no longer: it need not be measured."""
        self._total -= len(self._left)
        self._left = [(other, seconds) for other, seconds in self._left if other != case]
        self._total += len(self._left)

    @contextmanager
    def watch(self, case: Case) -> Iterator[Callable[[Tick], None]]:
        """Show one case while the block runs; the block calls what it gets with each tick."""
        place = min(self._total - len(self._left) + 1, self._total)  # one that begins again is not counted twice
        at = next((at for at, (other, _) in enumerate(self._left) if other == case), None)
        seconds = self._left.pop(at)[1] if at is not None else 0.0
        name = f"[{place}/{self._total}] {case.name_on(self.names[case.device])}"
        key = object()
        self._running[key] = seconds
        try:
            if self._console.is_terminal:
                with self._bar(name) as task:
                    yield lambda tick: self._draw(key, task, case, tick)
            else:
                self.say(f"{name}: preparing")
                yield self._line_writer(name, key, case)
        finally:
            del self._running[key]

    @contextmanager
    def _bar(self, name: str) -> Iterator[TaskID]:
        task = self._bars.add_task(visible(name), total=1, note="preparing")
        self._bars.start()
        try:
            yield task
        finally:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def _note(self, key: object, case: Case, tick: Tick) -> str:
        left = self._running[key] = tick.train_seconds / tick.step * (tick.steps - tick.step)
        still = sum(self._running.values()) + sum(seconds for _, seconds in self._left)
        ahead = max(left, still / self._places)
        accuracy = (
            ""
            if tick.validation_accuracy is None
            else f", validation accuracy {units.percent(tick.validation_accuracy)}"
        )
        return (
            f"epoch {tick.epoch}/{case.hyperparameters.epochs}, loss {tick.loss:.3f}{accuracy}, "
            f"{format_duration(left)} left, {format_duration(ahead)} for the whole run"
        )

    def _draw(self, key: object, task: TaskID, case: Case, tick: Tick) -> None:
        self._expect(case, tick)
        self._bars.update(task, completed=tick.step, total=tick.steps, note=self._note(key, case, tick))
        self._bars.refresh()

    def _line_writer(self, name: str, key: object, case: Case) -> Callable[[Tick], None]:
        written_at = time.perf_counter()

        def write(tick: Tick) -> None:
            nonlocal written_at
            self._expect(case, tick)
            if tick.validation_accuracy is not None or time.perf_counter() - written_at > SECONDS_BETWEEN_LINES:
                written_at = time.perf_counter()
                self.say(f"{name}: {units.percent(tick.step / tick.steps, 0)}, {self._note(key, case, tick)}")

        return write

    def _expect(self, case: Case, tick: Tick) -> None:
        """Correct what is expected of the like cases still to come by what an epoch of this one takes."""
        epoch = tick.train_seconds / tick.step * tick.steps / case.hyperparameters.epochs
        alike = case.model, case.device
        self._left = [
            (other, epoch * other.hyperparameters.epochs if (other.model, other.device) == alike else seconds)
            for other, seconds in self._left
        ]


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
        auto_refresh=False,  # drawing on its own thread would take time from the training
    )

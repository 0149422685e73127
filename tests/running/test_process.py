"""A case in a process of its own: whatever becomes of it, the run gets a record and goes on."""

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from cases import provenance_of

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import InputError
from fashionbench.recipe.fields import Recipe
from fashionbench.records.record import TrainingRecord
from fashionbench.running.process import case as case_module
from fashionbench.running.process.case import Job, measure_in_process
from fashionbench.training.case import Case
from fashionbench.training.loop import Supervision, Tick
from fashionbench.training.measure import measure_training

TINY = Recipe(name="tiny", epochs=2, batch_size=50, is_result=False)
LONG = Recipe(name="long", epochs=10_000, batch_size=50, is_result=False)

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")


def job(dataset: Dataset, recipe: Recipe = TINY, checkpoint: Path | None = None, model: str = "fashioncnn") -> Job:
    case = Case(model=model, device=Device(word="cpu", name="Some CPU"), recipe=recipe, seed=0, rewritten=True)
    provenance = provenance_of(case, dataset)
    return Job(case=case, provenance=provenance, checkpoint=checkpoint, seconds_between_checkpoints=60.0)


def measure(
    given: Job, dataset: Dataset, ticks: list[Tick] | None = None, limit_seconds: float | None = None
) -> TrainingRecord:
    return measure_in_process(
        given,
        dataset,
        watch=(ticks if ticks is not None else []).append,
        warn=refuse,
        limit_seconds=limit_seconds,
    )


def refuse(line: str) -> None:
    """Allow no warning but that others use the machine on which the tests run."""
    assert "of the CPUs" in line, line


def child_of_this_process() -> int:
    """Wait for the case's process and return its id; multiprocessing may keep a helper of its own besides."""
    return multiprocessing.active_children()[0].pid or 0


def test_a_child_measures_what_this_process_measures(sample: Dataset) -> None:
    ticks: list[Tick] = []

    theirs = measure(job(sample), sample, ticks)
    ours = measure_training(job(sample).case, sample, job(sample).provenance, Supervision())

    assert theirs.result is not None
    assert ours.result is not None
    assert theirs.result.step_losses == ours.result.step_losses
    assert theirs.result.test_predictions == ours.result.test_predictions
    assert theirs.identity == ours.identity
    assert [tick.epoch for tick in ticks if tick.validation_accuracy is not None] == [1, 2]


def test_a_plain_case_is_measured_in_a_child_too(sample: Dataset) -> None:
    fast = job(sample)

    record = measure(replace(fast, case=replace(fast.case, execution="plain")), sample)

    assert (record.status, record.execution) == ("finished", "plain")


@on_posix
def test_a_child_that_crashes_gives_a_failed_record(sample: Dataset) -> None:
    ticks: list[Tick] = []

    class Killing(list[Tick]):
        def append(self, tick: Tick) -> None:
            super().append(tick)
            os.kill(child_of_this_process(), signal.SIGKILL)

    record = measure(job(sample, LONG), sample, Killing(ticks))

    assert record.status == "failed"
    assert record.reason == "its process was ended by SIGKILL, possibly out of memory"


def test_a_child_that_hangs_is_given_up_at_the_limit(sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_module, "SECONDS_TO_STOP", 0.5)
    record = measure(job(sample, LONG), sample, limit_seconds=0.5)

    assert (record.status, record.reason) == ("failed", f"stopped at the limit of {0.5 / 60:g} min")
    assert not multiprocessing.active_children()


def test_what_the_case_refuses_is_raised_here(sample: Dataset) -> None:
    with pytest.raises(InputError, match=r"train_images 401 of 400 images\. Expected fewer .*\. Change train_images"):
        measure(job(sample, Recipe(name="greedy", train_images=401)), sample)


LATE = """
from torch import nn
class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.inside = nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
        self.seen = False
    def forward(self, images):
        if not self.training:
            self.seen = True
        elif self.seen:
            raise ValueError("bad batch\\nmore")
        return self.inside(images)
"""


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_users_model_raises_is_the_records_reason_and_its_traceback_is_kept(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    (tmp_path / "late_net.py").write_text(LATE)
    monkeypatch.syspath_prepend(tmp_path)
    path, told = tmp_path / "records" / "late.traceback.txt", list[str]()
    given = job(sample, model="late_net:Net")

    record = measure_in_process(
        replace(given, traceback=path if kept else None),
        sample,
        watch=lambda _: None,
        warn=told.append,
        limit_seconds=None,
    )

    assert (record.status, record.reason) == ("failed", "ValueError: bad batch")
    assert path.exists() == kept
    assert not kept or path.read_text().splitlines()[-2:] == ["ValueError: bad batch", "more"]
    assert any(str(path) in line for line in told) == kept


@on_posix
def test_an_interrupt_lets_the_child_save_its_state(sample: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "case.pt"

    def interrupt(_: Tick) -> None:
        path.unlink(missing_ok=True)  # that of an epoch's end
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_in_process(job(sample, LONG, path), sample, watch=interrupt, warn=refuse, limit_seconds=None)

    assert path.stat().st_size > 1_000_000
    assert not multiprocessing.active_children()


def test_time_is_monotonic_so_that_a_clock_that_jumps_changes_nothing(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = count(0, -100_000)
    monkeypatch.setattr(time, "time", lambda: float(next(wall)))

    record = measure_training(job(sample).case, sample, job(sample).provenance, Supervision())

    assert record.result is not None
    assert 0 < record.result.train_seconds < 60

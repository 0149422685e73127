"""What a node carries out for a cluster, tried without one."""

import os
from dataclasses import replace

import pytest
from cases import measure, provenance_of

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import list_devices
from fashionbench.recipe.fields import Recipe
from fashionbench.records.record import TrainingRecord
from fashionbench.running.nodes import call_on_node, train_on_node
from fashionbench.running.process.case import Job
from fashionbench.running.process.server import start_fork_server
from fashionbench.training.case import Case
from fashionbench.training.loop import Tick

SLOW = Recipe(name="slow", epochs=4, batch_size=50, is_result=False)


@pytest.fixture(autouse=True)
def keep_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    start_fork_server()  # with this process's number of threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a node takes it out of its environment, which is this one


def test_a_worker_tells_ticks_checkpoints_and_its_record_and_goes_on_from_what_it_is_given(
    sample: Dataset,
) -> None:
    case = Case(model="fashioncnn", device=list_devices()[0], recipe=SLOW, seed=0, rewritten=True)
    undisturbed = measure(case, sample)
    job = Job(case=case, provenance=provenance_of(case, sample), checkpoint=None, seconds_between_checkpoints=0.0)
    messages = train_on_node(job, sample, None, None)
    checkpoint = next(message for message in messages if isinstance(message, bytes))
    messages.close()  # type: ignore[attr-defined] # a generator

    *told, record = train_on_node(replace(job, seconds_between_checkpoints=60.0), sample, checkpoint, None)

    assert any(isinstance(message, Tick) for message in told)
    assert isinstance(record, TrainingRecord)
    assert record.result is not None
    assert undisturbed.result is not None
    assert record.result.resumed == 1
    assert record.result.step_losses == undisturbed.result.step_losses
    assert record.result.test_confidences == undisturbed.result.test_confidences


def test_a_call_in_a_child_is_made_in_another_process() -> None:
    assert call_on_node(os.getpid) != os.getpid()

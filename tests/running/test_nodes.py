"""What a node carries out for a cluster, tried without one."""

import os

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import list_devices
from fashionbench.recipe import Recipe
from fashionbench.records.record import TrainingRecord
from fashionbench.running.nodes import call_in_child, train_in_child
from fashionbench.training.case import Case
from fashionbench.training.clock import TrainingClock
from fashionbench.training.loop import Tick
from fashionbench.training.measure import measure_training

SLOW = Recipe(name="slow", epochs=25, batch_size=50, is_result=False)


def test_a_worker_tells_ticks_checkpoints_and_its_record_and_goes_on_from_what_it_is_given(
    sample: Dataset,
) -> None:
    case = Case(model="fashioncnn", device=list_devices()[0], recipe=SLOW, seed=0)
    undisturbed = measure_training(case, sample, command="pytest", clock=TrainingClock(), watch=lambda _: None)
    messages = train_in_child(case, sample, "pytest", None, 0.0, None)
    checkpoint = next(message for message in messages if isinstance(message, bytes))
    messages.close()  # type: ignore[attr-defined] # a generator

    *told, record = train_in_child(case, sample, "pytest", checkpoint, 60.0, None)

    assert any(isinstance(message, Tick) for message in told)
    assert isinstance(record, TrainingRecord)
    assert record.result is not None
    assert undisturbed.result is not None
    assert record.result.resumed == 1
    assert record.result.step_losses == undisturbed.result.step_losses
    assert record.result.test_confidences == undisturbed.result.test_confidences


def test_a_call_in_a_child_is_made_in_another_process() -> None:
    assert call_in_child(os.getpid) != os.getpid()

"""A case becomes a record whatever happens, and the record agrees with itself."""

from dataclasses import replace
from pathlib import Path
from typing import get_args
from unittest.mock import Mock

import pytest
import torch
from cases import CPU, TINY, measure, provenance_of, tiny_case
from sklearn.metrics import classification_report

from fashionbench.data.dataset import Dataset, Split
from fashionbench.devices.device import Device
from fashionbench.errors import InputError
from fashionbench.execution.step import TrainingStep
from fashionbench.recipe.fields import RECIPES, Recipe
from fashionbench.records.record import Execution, Peak, TrainingRecord
from fashionbench.training import loop
from fashionbench.training import measure as case_module
from fashionbench.training.case import Case
from fashionbench.training.clock import TrainingClock
from fashionbench.training.loop import Curves, Supervision
from fashionbench.training.measure import compare_repeats, measure_training, record_absence


@pytest.fixture(scope="module")
def record(sample: Dataset) -> TrainingRecord:
    return measure(tiny_case(), sample)


def test_a_records_scores_are_the_classification_report_of_its_predictions(record: TrainingRecord) -> None:
    assert record.result is not None
    labels, said = record.result.test_labels.array(), record.result.test_predictions.array()

    expected = classification_report(
        labels, said, target_names=record.data.classes, output_dict=True, zero_division=0.0
    )

    assert record.result.scores.accuracy == pytest.approx(expected["accuracy"], abs=1e-12)
    for each in record.result.scores.classes:
        found = {"precision": each.precision, "recall": each.recall, "f1-score": each.f1, "support": each.support}
        assert found == pytest.approx(expected[each.name], abs=1e-12)


def test_the_clock_agrees_with_the_epochs_to_a_percent(sample: Dataset) -> None:
    clock = TrainingClock()

    record = measure(tiny_case(), sample, clock)

    assert record.result is not None
    assert sum(record.result.epoch_seconds) == pytest.approx(clock(), rel=0.01)
    assert record.result.train_seconds == pytest.approx(clock(), rel=0.01)


def test_a_record_holds_a_loss_for_every_step_and_a_confidence_for_every_test_image(record: TrainingRecord) -> None:
    assert record.result is not None
    steps = 2 * 300 // 50
    assert record.result.step_losses.shape == (steps,)
    assert len(record.result.validation_accuracies) == 2
    assert record.result.test_confidences.shape == (200,)
    assert (record.data.train_images, record.data.validation_images, record.data.test_images) == (300, 100, 200)
    assert all(mistake.label != mistake.prediction for mistake in record.result.mistakes)


def test_a_record_survives_json(record: TrainingRecord) -> None:
    assert TrainingRecord.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize(
    ("recipe", "epochs", "model", "losses"),
    [
        ("study", 1, "fashioncnn", [2.299437, 2.777914, 1.690595]),
        ("study", 1, "resnet18", [2.740326, 2.072214, 2.123463]),
        ("swift", 2, "fashioncnn", [2.303345, 2.169560, 6.090893]),
    ],
)
def test_a_built_in_recipe_begins_with_the_losses_of_commit_fb874c3(
    sample: Dataset, recipe: str, epochs: int, model: str, losses: list[float]
) -> None:
    short = RECIPES[recipe].model_copy(update={"epochs": epochs})

    record = measure(Case(model=model, device=CPU, recipe=short, seed=0, execution="plain"), sample)

    assert record.result is not None
    assert record.result.step_losses.array()[:3] == pytest.approx(losses, rel=1e-3)  # another CPU rounds otherwise


@pytest.mark.parametrize("model", ["fashioncnn", "resnet18"])
def test_same_seed_gives_same_predictions(sample: Dataset, model: str) -> None:
    recipe = Recipe(name="short", epochs=1, batch_size=25, train_images=100, test_images=100)

    first, second = (measure(tiny_case(model, recipe), sample).result for _ in range(2))

    assert first is not None
    assert second is not None
    assert first.test_predictions == second.test_predictions
    assert first.step_losses == second.step_losses


def test_the_plain_execution_learns_the_same(sample: Dataset) -> None:
    recipe = Recipe(name="short", epochs=1, batch_size=50)

    fast, plain = (
        measure(Case(model="fashioncnn", device=CPU, recipe=recipe, seed=0, execution=execution), sample).result
        for execution in get_args(Execution)
    )

    assert fast is not None
    assert plain is not None
    assert plain.scores.accuracy == pytest.approx(fast.scores.accuracy, abs=0.1)  # other orders of the images


def test_the_warm_up_teaches_nothing(sample: Dataset, record: TrainingRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_module, "warm_up", lambda *_: None)

    cold = measure(tiny_case(), sample)

    assert cold.result is not None
    assert record.result is not None
    assert cold.result.step_losses == record.result.step_losses


def test_a_diverged_loss_becomes_a_failed_record_with_its_reason(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_module, "train", _spoil_weights)

    record = measure(tiny_case(), sample)

    assert record.status == "failed"
    assert record.reason.startswith("The training loss became nan in epoch 1, step 1")
    assert record.result is None


def _spoil_weights(case: Case, step: TrainingStep, split: Split, supervision: Supervision) -> Curves:
    with torch.no_grad():
        next(step.model.parameters()).fill_(float("nan"))
    return loop.train(case, step, split, supervision)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), TypeError("a bug"), MemoryError()])
def test_what_a_model_or_its_device_raises_is_left_to_the_caller(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(case_module, "train", Mock(side_effect=error))

    with pytest.raises(type(error)):
        measure(tiny_case(), sample)


def test_a_recipe_that_asks_for_too_many_images_is_refused(sample: Dataset) -> None:
    greedy = Recipe(name="greedy", train_images=401)

    with pytest.raises(InputError, match=r"train_images 401 of 400 images"):
        measure(tiny_case(recipe=greedy), sample)


def test_an_absent_device_becomes_a_record_with_its_reason(sample: Dataset) -> None:
    absent = Case(model="resnet18", device=Device(word="cuda", name="", absence="not found"), recipe=TINY, seed=0)

    record = record_absence(absent, sample, provenance_of(absent, sample))

    assert (record.status, record.reason, record.device_name) == ("absent", "not found", "")


def test_a_repeat_that_failed_leaves_the_record_as_it_is(sample: Dataset) -> None:
    record = record_absence(tiny_case(), sample, provenance_of(tiny_case(), sample))

    assert compare_repeats(record, record) is record


def test_a_record_is_whole_when_it_is_born(sample: Dataset) -> None:
    peak = Peak(product_flops_per_second=1.0, convolution_flops_per_second=2.0, copy_bytes_per_second=3.0)
    provenance = replace(provenance_of(tiny_case(), sample), peak=peak, looks=(3, 5))

    record = measure_training(tiny_case(), sample, provenance, Supervision())

    assert (record.identity, record.environment) == (provenance.identity, provenance.environment)
    assert (record.code_sha256, record.model_sha256) == (provenance.code_sha256, provenance.model_sha256)
    assert (record.peak, record.looks) == (peak, (3, 5))


def test_a_model_whose_source_changed_since_the_run_began_is_not_measured(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "edited_net.py"
    source.write_text(
        "from torch import nn\nmake = lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(784, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    case = tiny_case("edited_net:make")
    provenance = provenance_of(case, sample)
    source.write_text(source.read_text() + "# edited\n")

    record = measure_training(case, sample, provenance, Supervision())

    assert record.status == "failed"
    assert "The source of model 'edited_net:make' changed during the run" in record.reason
    assert record.identity == provenance.identity

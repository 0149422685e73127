"""A pretrained network is fine-tuned with its backbone frozen: its norms keep their statistics, fast equals plain."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import CPU, measure
from torch import Tensor, nn

from fashionbench.data.dataset import Dataset, Split, Task, draw_split
from fashionbench.errors import InputError
from fashionbench.execution.step import iterate_batches
from fashionbench.recipe.fields import Hyperparameters, Recipe
from fashionbench.records.record import Execution
from fashionbench.running.preflight import check_fit
from fashionbench.training.case import Case
from fashionbench.training.identity import identify, model_digest
from fashionbench.training.loop import Supervision, train

FINE: dict[str, Any] = {"freeze": "all but head", "normalize": ((0.25,), (0.5,))}


@pytest.fixture(scope="module")
def weights(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a ResNet18 that was trained on half the classes."""
    recipe = Recipe(name="half", epochs=1, batch_size=25)
    task, split = Task(shape=sample.task.shape, classes=5), draw_split(sample, recipe, 0)
    train_half, validation_half = (labels < 5 for labels in (split.train_labels, split.validation_labels))
    half = Split(
        train_images=split.train_images[train_half],
        train_labels=split.train_labels[train_half],
        validation_images=split.validation_images[validation_half],
        validation_labels=split.validation_labels[validation_half],
        test_images=split.test_images[:0],
        test_labels=split.test_labels[:0],
    )
    case = Case(model="torchvision:resnet18", device=CPU, recipe=recipe, seed=0, execution="plain")
    step = case.prepare(case.build(task), task)
    train(case, step, half, Supervision())
    path = tmp_path_factory.mktemp("weights") / "half.pth"
    torch.save(step.model.state_dict(), path)
    return path


def tuned(weights: Path, execution: Execution = "fast", **fields: Any) -> Case:
    name = f"torchvision:resnet18@{weights}"
    how = Hyperparameters(epochs=1, batch_size=50, **fields)
    return Case(model=name, device=CPU, recipe=Recipe(name="x", model={name: how}), seed=0, execution=execution)


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if "running" in name or "tracked" in name}


@pytest.mark.parametrize("execution", ["fast", "plain"])
def test_frozen_norms_keep_the_files_statistics(sample: Dataset, weights: Path, execution: Execution) -> None:
    case = tuned(weights, execution, **FINE)
    step = case.prepare(case.build(sample.task), sample.task)
    given = statistics(step.model)

    train(case, step, draw_split(sample, case.recipe, 0), Supervision())

    after = statistics(step.model)
    file = torch.load(weights, weights_only=True)
    assert len(given) == 60
    assert all(torch.equal(value, after[name]) for name, value in given.items())
    assert all(torch.equal(value, file[name.removeprefix("1.")]) for name, value in after.items())
    assert [name for name, each in step.model.named_parameters() if each.requires_grad] == ["1.fc.weight", "1.fc.bias"]


def test_fast_equals_plain_with_a_frozen_backbone(sample: Dataset, weights: Path) -> None:
    losses, outputs = [], []
    for execution in ("plain", "fast"):
        case = tuned(weights, "fast" if execution == "fast" else "plain", **FINE)
        step = case.prepare(case.build(sample.task), sample.task)
        step.model.train()
        order = torch.Generator().manual_seed(0)
        batches = iterate_batches(sample.train_images, sample.train_labels, 50, order, "fast")
        losses.append(torch.stack([step(*batch) for batch in batches]))
        with torch.no_grad():
            outputs.append(step.model.eval()(sample.test_images[:50] / 255))

    assert torch.allclose(losses[0], losses[1], rtol=1e-3)
    assert torch.allclose(outputs[0], outputs[1], rtol=1e-2, atol=1e-3)


def test_the_record_shows_trained_and_all_parameters_apart_and_what_the_file_gave(
    sample: Dataset, weights: Path
) -> None:
    record = measure(tuned(weights, **FINE), sample)

    assert record.result is not None, record.reason
    info = record.model_info
    assert info is not None
    assert (info.trained_parameters, info.parameters) == (5_130, 11_175_370)
    assert info.built == "120 of 122 tensors are from half.pth; fc.weight, fc.bias drawn under the seed"


def test_the_weights_are_part_of_the_identity(sample: Dataset, weights: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(weights.read_bytes())
    before = identify(tuned(mine), model_digest(tuned(mine).model), sample)

    torch.save({}, mine)

    assert identify(tuned(mine), model_digest(tuned(mine).model), sample) != before


def test_the_preflight_tells_what_is_new_and_what_is_trained(sample: Dataset, weights: Path) -> None:
    remarks = [line.rpartition(".pth: ")[2] for line in check_fit(tuned(weights, **FINE), sample)]

    assert remarks == [
        "120 of 122 tensors are from half.pth; fc.weight, fc.bias drawn under the seed",
        "5,130 of 11,175,370 parameters are trained, the others are frozen",
    ]


def test_frozen_layers_without_trained_weights_are_told(sample: Dataset) -> None:
    recipe = Recipe(name="x", freeze="all but head")
    case = Case(model="fashioncnn", device=CPU, recipe=recipe, seed=0, execution="plain")

    trained, random = check_fit(case, sample)

    assert trained == "fashioncnn: 1,210 of 1,475,338 parameters are trained, the others are frozen"
    assert random.startswith("fashioncnn: its frozen layers have random weights")


def test_values_that_do_not_fit_the_images_are_refused_before_the_training(sample: Dataset, weights: Path) -> None:
    with pytest.raises(InputError, match="Normalize has 2 means"):
        check_fit(tuned(weights, normalize=((0.1, 0.2), (0.3, 0.4))), sample)
    with pytest.raises(InputError, match="Augment shift 28 for images of 28 x 28 pixels"):
        check_fit(tuned(weights, augment={"shift": 28}), sample)


def test_a_frozen_case_resumes_from_a_copy_of_itself(sample: Dataset, weights: Path) -> None:
    case = tuned(weights, **FINE)
    model = case.build(sample.task)

    other = copy.deepcopy(model)

    other.load_state_dict(model.state_dict())
    assert not any(part.training for part in other.train().modules() if isinstance(part, nn.BatchNorm2d))

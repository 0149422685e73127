"""A split is stratified, complete, and decided by its seed alone."""

from dataclasses import replace

import pytest
import torch

from fashionbench.data.dataset import Dataset, Task, draw_split
from fashionbench.errors import InputError
from fashionbench.recipe import Recipe


def test_a_split_is_stratified_complete_and_decided_by_the_seed(sample: Dataset) -> None:
    recipe = Recipe(name="quarter", validation_fraction=0.25)

    first, again, other = (draw_split(sample, recipe, seed) for seed in (0, 0, 1))

    assert first.train_labels.bincount().tolist() == [30] * 10
    assert first.validation_labels.bincount().tolist() == [10] * 10
    assert torch.equal(first.train_images, again.train_images)
    assert not torch.equal(first.train_images, other.train_images)
    assert torch.equal(first.test_images, sample.test_images)


def test_a_test_subset_is_the_same_for_every_seed(sample: Dataset) -> None:
    recipe = Recipe(name="few", validation_fraction=0.25, train_images=200, test_images=50)

    one, two = (draw_split(sample, recipe, seed) for seed in (0, 1))

    assert torch.equal(one.test_images, two.test_images)
    assert len(one.train_labels) == 150
    assert one.test_labels.bincount().tolist() == [5] * 10


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(name="x", train_images=500), r"train_images 500 of 400 images\. Expected fewer"),
        (
            Recipe(name="x", test_images=99),
            r"test_images 99 of 200 images\. Expected fewer than there are, and",
        ),
        (Recipe(name="x", validation_fraction=0.001), "validation_fraction 0.001 of 400 training images"),
    ],
)
def test_a_split_that_is_impossible_is_refused(sample: Dataset, recipe: Recipe, message: str) -> None:
    pairs = replace(sample, test_labels=torch.arange(200) // 2)  # 100 classes of two test images each

    with pytest.raises(InputError, match=message):
        draw_split(pairs, recipe, 0)


def test_the_task_is_the_images_shape_and_the_number_of_classes(sample: Dataset) -> None:
    assert sample.task == Task(shape=(1, 28, 28), classes=10)

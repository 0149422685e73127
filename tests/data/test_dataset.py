"""A split is stratified, complete, and decided by its seed alone."""

from dataclasses import replace

import pytest
import torch

from fashionbench.data.dataset import Dataset, Task, count_images, draw_split, name_small_classes
from fashionbench.errors import InputError
from fashionbench.recipe.fields import Recipe


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


def test_validation_images_of_the_data_are_kept_for_every_seed(sample: Dataset) -> None:
    own = replace(sample, validation_images=sample.test_images[:50], validation_labels=sample.test_labels[:50])

    split = draw_split(own, Recipe(name="x", train_images=200), 3)

    assert torch.equal(split.validation_images, sample.test_images[:50])
    assert count_images(own, Recipe(name="x", train_images=200)) == (200, 50, 200)
    assert len(split.train_images) == 200
    assert torch.equal(split.train_labels.bincount(), torch.full((10,), 20))


def test_the_numbers_of_images_are_those_of_the_split(sample: Dataset) -> None:
    recipe = Recipe(name="x", validation_fraction=0.3, train_images=205, test_images=100)

    split = draw_split(sample, recipe, 0)

    assert count_images(sample, recipe) == (
        len(split.train_labels),
        len(split.validation_labels),
        len(split.test_labels),
    )


def test_a_class_that_cannot_be_split_is_named_with_its_count(sample: Dataset) -> None:
    few = torch.cat([(sample.train_labels != 3).nonzero()[:, 0], (sample.train_labels == 3).nonzero()[:1, 0]])
    small = replace(sample, train_images=sample.train_images[few], train_labels=sample.train_labels[few])

    with pytest.raises(InputError, match=r"361 training images \(class 'Dress' has 1 image\)\. .* Add images of that"):
        draw_split(small, Recipe(name="x"), 0)


def test_of_many_small_classes_five_are_named() -> None:
    assert name_small_classes([*map(str, range(9)), "8"], 3) == (
        "class '0' has 1 image, class '1' has 1 image, class '2' has 1 image, class '3' has 1 image, "
        "class '4' has 1 image, and 4 more classes have so few"
    )

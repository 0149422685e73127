"""A split is stratified, whole, and decided by its seed alone."""

import pytest
import torch

from fashionbench.data.dataset import Dataset, split_dataset
from fashionbench.errors import InputError


def test_a_split_is_stratified_whole_and_decided_by_the_seed(sample: Dataset) -> None:
    first, again, other = (
        split_dataset(sample, validation_fraction=0.25, seed=seed, train_images=None, test_images=None)
        for seed in (0, 0, 1)
    )

    assert first.train_labels.bincount().tolist() == [30] * 10
    assert first.validation_labels.bincount().tolist() == [10] * 10
    assert torch.equal(first.train_images, again.train_images)
    assert not torch.equal(first.train_images, other.train_images)
    assert torch.equal(first.test_images, sample.test_images)


def test_a_test_subset_is_the_same_for_every_seed(sample: Dataset) -> None:
    one, two = (
        split_dataset(sample, validation_fraction=0.25, seed=seed, train_images=200, test_images=50) for seed in (0, 1)
    )

    assert torch.equal(one.test_images, two.test_images)
    assert len(one.train_labels) == 150
    assert one.test_labels.bincount().tolist() == [5] * 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_images": 500}, r"train_images 500 of 400 images\. Expected fewer"),
        ({"test_images": 5}, "test_images 5 of 200 images"),
        ({"validation_fraction": 0.001}, "validation_fraction 0.001 of 400 training images"),
    ],
)
def test_a_split_that_cannot_be_is_refused(sample: Dataset, fields: dict[str, float], message: str) -> None:
    wanted = {"validation_fraction": 0.25, "seed": 0, "train_images": None, "test_images": None} | fields

    with pytest.raises(InputError, match=message):
        split_dataset(sample, **wanted)  # type: ignore[arg-type]

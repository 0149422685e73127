"""A data set comes as (N, C, H, W) with classes from itself, or is refused in a line that says what is wrong."""

import re
from pathlib import Path

import pytest
import torch

from fashionbench.data.dataset import Dataset, Task
from fashionbench.data.load import load_dataset
from fashionbench.data.readers import IDX_NAMES
from fashionbench.errors import InputError, SetupError


def load(word: str | Path, tmp_path: Path, data: Path | None = None) -> Dataset:
    return load_dataset(str(word), data, environ={}, cache=tmp_path / "cache", announce=lambda _: None)


@pytest.mark.parametrize("name", ["own.CSV", "own.csv.gz", "own.TSV", "own.zip", "own.Npz"])
def test_a_file_is_read_by_the_end_of_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{name} ") + r".*No such file or directory"):
        load(tmp_path / name, tmp_path)


def test_a_folder_is_read_as_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not contain the folders train and test"):
        load(tmp_path, tmp_path)


def test_digits_come_with_scikit_learn(tmp_path: Path) -> None:
    found = load("digits", tmp_path)

    assert found.task == Task(shape=(1, 8, 8), classes=10)
    assert len(found.train_images) + len(found.test_images) == 1797
    assert (int(found.train_images.min()), int(found.train_images.max())) == (0, 255)


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown dataset 'imagenet'\. Expected .*fashion-mnist, mnist, kmnist"):
        load("imagenet", tmp_path)


def test_a_set_of_torchvision_is_read_from_its_own_layout(tmp_path: Path, sample_folder: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in IDX_NAMES:
        (raw / name).write_bytes((sample_folder / name).read_bytes())

    found = load("mnist", tmp_path, data=tmp_path)

    assert found.name == "MNIST"
    assert found.train_images.shape == (400, 1, 28, 28)
    assert found.train_images.dtype == torch.uint8
    assert found.classes[0] == "0 - zero"


def test_a_set_that_torchvision_does_not_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"No CIFAR-10 \(Dataset not found.*\. Expected torchvision to find"):
        load("cifar10", tmp_path, data=tmp_path)

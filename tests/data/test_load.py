"""A data set comes as (N, C, H, W) with classes from itself, or is refused in a line that says what is wrong."""

import re
from pathlib import Path

import numpy as np
import pytest

from fashionbench.data.dataset import Dataset, Task
from fashionbench.data.load import load_dataset
from fashionbench.data.published import NAMED
from fashionbench.errors import InputError


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


@pytest.mark.parametrize("name", NAMED)
def test_a_published_data_set_is_looked_for_in_the_folder_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"does not contain .*, whose digests are known"):
        load(name, tmp_path, data=tmp_path)


def test_a_run_says_how_many_test_images_are_training_images_too(tmp_path: Path) -> None:
    images = np.arange(48, dtype=np.uint8).reshape(12, 2, 2)
    labels = np.arange(12) % 2
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images[3:7], y_test=labels[3:7])
    said: list[str] = []

    load_dataset(str(tmp_path / "own.npz"), None, environ={}, cache=tmp_path, announce=said.append)

    assert said == ["4 of 4 test images are training images, too: accuracies on them say nothing of new images"]

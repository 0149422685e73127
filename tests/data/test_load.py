"""A data set comes as (N, C, H, W) with classes from itself, or is refused in a line that says what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fashionbench.data.dataset import Dataset, Task
from fashionbench.data.load import load_dataset
from fashionbench.data.readers import IDX_NAMES
from fashionbench.errors import InputError, SetupError


def load(word: str | Path, tmp_path: Path, data: Path | None = None) -> Dataset:
    return load_dataset(str(word), data, environ={}, cache=tmp_path / "cache", announce=lambda _: None)


def write_images(root: Path, *, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> None:
    """Write a folder of images with two classes, three images each half and class."""
    for half in ("train", "test"):
        for place, name in enumerate(("cat", "dog")):
            (root / half / name).mkdir(parents=True)
            for number in range(3):
                colour = 100 * place + number
                image = Image.new(mode, size, colour if mode == "L" else (colour, 7, 9))
                image.save(root / half / name / f"{number}.png")


def arrays(count: int = 20) -> dict[str, Any]:
    labels = np.arange(count) % 2
    images = np.zeros((count, 4, 3), np.uint8)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_a_folder_of_images_gives_channels_first_and_the_folders_as_classes(
    tmp_path: Path, mode: str, channels: int
) -> None:
    write_images(tmp_path / "pets", mode=mode)

    found = load(tmp_path / "pets", tmp_path)

    assert (found.name, found.classes) == ("pets", ("cat", "dog"))
    assert found.train_images.shape == (6, channels, 5, 6)
    assert found.train_images[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert found.test_labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_images_of_several_sizes_are_refused_by_name(tmp_path: Path) -> None:
    write_images(tmp_path / "pets")
    Image.new("RGB", (7, 5)).save(tmp_path / "pets" / "test" / "dog" / "wide.png")

    with pytest.raises(InputError, match=r"wide\.png is 5 x 7 x 3, the first image 5 x 6 x 3\. Expected images of one"):
        load(tmp_path / "pets", tmp_path)


def test_a_folder_without_halves_unlike_classes_and_a_broken_image_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    root.mkdir()
    with pytest.raises(InputError, match="does not contain the folders train and test"):
        load(root, tmp_path)
    write_images(root)
    (root / "test" / "dog" / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot identify image file"):
        load(root, tmp_path)
    (root / "test" / "dog").rename(root / "test" / "wolf")
    with pytest.raises(InputError, match="classes cat, dog in train, cat, wolf in test"):
        load(root, tmp_path)


def test_labels_become_places_and_channels_come_first(tmp_path: Path) -> None:
    given = arrays()
    colour = np.zeros((20, 4, 3, 3), np.uint8)
    colour[..., 1] = 9
    given |= {
        "x_train": colour,
        "x_test": colour,
        "y_train": given["y_train"] + 5,
        "y_test": given["y_test"][:, None] + 5,
    }
    np.savez(tmp_path / "own.npz", **given)

    found = load(tmp_path / "own.npz", tmp_path)

    assert found.train_images.shape == (20, 3, 4, 3)
    assert found.train_images[0, 1].unique().tolist() == [9]
    assert found.classes == ("5", "6")
    assert found.test_labels.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda given: given.pop("y_test"), r"has no array 'y_test'\. Expected x_train, y_train, x_test, y_test"),
        (lambda given: given.update(x_train=given["x_train"] / 2), r"x_train is float64 of 3 axes\. Expected uint8"),
        (lambda given: given.update(y_train=given["y_train"] / 2), "labels are float64 of shape"),
        (lambda given: given.update(y_train=np.int64(3)), r"labels are int64 of shape \(\)|20 training images"),
        (lambda given: given.update(y_train=given["y_train"][:-1]), "20 training images of 1 x 4 x 3 with 19 labels"),
        (lambda given: given.update(y_test=given["y_test"] * 0), "2 classes in the training images, 1 in the test"),
        (lambda given: given.update(x_test=np.zeros((20, 4, 4), np.uint8)), "20 test images of 1 x 4 x 4"),
        (
            lambda given: given.update(x_train=np.zeros((20, 4, 3, 2), np.uint8)),
            "one label for each image, .* 1 or 3 channels",
        ),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], words: str
) -> None:
    given = arrays()
    spoil(given)
    np.savez(tmp_path / "own.npz", **given)

    with pytest.raises(InputError, match=words):
        load(tmp_path / "own.npz", tmp_path)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"PK\3\4 and no more")

    with pytest.raises(InputError, match=r"own\.npz is not an \.npz of arrays"):
        load(tmp_path / "own.npz", tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,a,b\n1,2,3\n", r"has 1 rows of 3 columns \('label' first\)\. Expected a label, then the pixels"),
        ("label,a\n1,x\n", "could not convert"),
        ("label,a\n1,256\n", r"has pixels of 256 to 256\. Expected 0 to 255"),
        ("label,a\n1,25\n2,7\n", r"2 images .*\. Expected at least two images of each class"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.csv").write_text(text)

    with pytest.raises(InputError, match=words):
        load(tmp_path / "own.csv", tmp_path)


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

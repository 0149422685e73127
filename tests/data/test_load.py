"""A data set comes as (N, C, H, W) with classes from itself, or is refused in a line that says what is wrong."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

from fashionbench.data.dataset import Dataset, Reading, Task
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
    with pytest.raises(InputError, match="no folders of images"):
        load(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("own.tar.gz", "Unpack it, and give the path of its folder."),
        ("own.rar", "Unpack it, and give the path of its folder."),
        ("own.xlsx", "If it is a table, save it as .csv."),
        ("cat.JPG", "Put the images of each class into a folder of its own, and give the path of the folder"),
        ("own.npy", "numpy.savez("),
        ("own.mat", "numpy.savez("),
    ],
)
def test_another_kind_of_file_is_refused_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(InputError, match=r"is not a kind of file that is read\. Expected a folder") as refused:
        load(tmp_path / name, tmp_path)

    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train-images-idx3-ubyte.gz", "contains IDX files. Expected one folder of images per class. Give --dataset"),
        ("data_batch_1", "contains the batches of CIFAR-10. Expected one folder of images per class. Give --dataset"),
        ("dataset_dict.json", "contains a data set that Hugging Face's library saved. Expected one folder of images"),
        ("data-00000-of-00001.arrow", "Write its images to files, as docs/own-data.md shows."),
        ("train/dataset_info.json", "contains a data set that Hugging Face's library saved"),
        ("MNIST/raw/train-labels-idx1-ubyte", "contains IDX files"),
        (
            "x_train.npy",
            "contains arrays in files of their own: x_train.npy. Expected one folder of images per class, or ",
        ),
        ("x.tsv", "contains tables of which none is the only one of the training images: x.tsv. Expected"),
    ],
)
def test_a_folder_of_another_kind_is_refused_with_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(InputError) as refused:
        load(tmp_path, tmp_path)

    assert words in str(refused.value)


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

    assert said[0] == "4 of 4 test images are training images, too: accuracies on them say nothing of new images"


def test_any_data_set_can_be_resized_and_is_then_another(tmp_path: Path, sample_folder: Path) -> None:
    def read(word: str, reading: Reading) -> Dataset:
        return load_dataset(
            word,
            sample_folder if word == "fashion-mnist" else None,
            environ={},
            cache=tmp_path,
            announce=lambda _: None,
            allow_sample=True,
            reading=reading,
        )

    stored, larger = (read("fashion-mnist", Reading(image_size=size)) for size in ((28, 28), (32, 32)))
    digits = read("digits", Reading(image_size=(16, 12), fit="stretch"))

    assert stored.name == "Fashion-MNIST"
    assert larger.name == "Fashion-MNIST at 32 x 32"
    assert larger.source.endswith("; resized to 32 x 32 (the shorter side, then the centre cropped)")
    assert (larger.task.shape, larger.classes) == ((1, 32, 32), stored.classes)
    assert larger.train_labels.equal(stored.train_labels)
    assert {*larger.digests.values()}.isdisjoint(stored.digests.values())
    assert digits.task.shape == (1, 16, 12)
    assert digits.name == "Digits of scikit-learn at 12 x 16"


def test_colours_and_validation_images_are_resized_too(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    labels = np.arange(30) % 2
    parts = {"train": slice(10), "val": slice(10, 20), "test": slice(20, 30)}
    arrays: dict[str, Any] = {f"{half}_images": images[part] for half, part in parts.items()}
    arrays |= {f"{half}_labels": labels[part] for half, part in parts.items()}
    np.savez(tmp_path / "own.npz", **arrays)

    found = load_dataset(
        str(tmp_path / "own.npz"),
        None,
        environ={},
        cache=tmp_path,
        announce=lambda _: None,
        reading=Reading(image_size=(4, 4)),
    )

    assert found.validation_images is not None
    assert found.train_images.shape == found.validation_images.shape == found.test_images.shape == (10, 3, 4, 4)


def test_names_in_an_archive_reach_the_terminal_as_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), np.uint8)
    arrays: dict[str, Any] = {"x": images, "y": np.arange(20) % 2, "\x1b[2J\u202e": images}
    np.savez(tmp_path / "own.npz", **arrays)

    assert call("data", "--dataset", tmp_path / "own.npz") == 0

    said = capsys.readouterr().out
    assert r"\x1b[2J\u202e" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_a_path_that_is_too_long_is_refused_like_one_that_is_not_there(tmp_path: Path) -> None:
    long = "/" + "x" * 5_000

    with pytest.raises(InputError, match="Unknown dataset '/xxx"):
        load(long, tmp_path)
    with pytest.raises(InputError, match=r"Path /x+ does not exist"):
        load("fashion-mnist", tmp_path, Path(long))

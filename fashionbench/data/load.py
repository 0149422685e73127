"""The data set that ``--dataset`` names, by a name or by a path."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from fashionbench.catalogue import DATASETS
from fashionbench.data.arrays import check_memory, make_dataset
from fashionbench.data.dataset import AS_STORED, Dataset, Reading, draw_test_images
from fashionbench.data.fashion_mnist import find_dataset
from fashionbench.data.overview import find_peculiarities
from fashionbench.data.own.archive import load_npz
from fashionbench.data.own.folder import load_folder
from fashionbench.data.own.listing import IMAGE_SUFFIXES
from fashionbench.data.own.picture import describe_fit, fit_image
from fashionbench.data.own.tables.content import SUFFIXES, find_table
from fashionbench.data.own.tables.table import load_table
from fashionbench.data.published import NAMED, load_published
from fashionbench.errors import InputError, visible
from fashionbench.opening import is_file, is_folder

__all__ = ["load_dataset"]

FASHION_MNIST: Final = DATASETS[0]

OTHER_REMEDY: Final = 'write the images and their labels with numpy.savez("own.npz", images=images, labels=labels)'

REMEDIES: Final = MappingProxyType(
    {
        tuple(IMAGE_SUFFIXES - {".npy"}): "put the images of each class into a folder of its own, and give the path of "
        "the folder that contains them",
        (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"): "unpack it, and give the path of its folder",
        (
            ".xlsx",
            ".xls",
            ".ods",
            ".txt",
            ".dat",
            ".data",
            ".tra",
            ".tes",
            ".arff",
            ".rds",
            ".json",
            ".jsonl",
        ): "if it is a table, save it as .csv",
    }
)
"""What to do with a file that is not read, by the end of its name."""

FILES_WITHOUT_FOLDERS: Final = MappingProxyType(
    {
        (".npy",): ("arrays in files of their own", f"read them with numpy.load, and {OTHER_REMEDY}"),
        SUFFIXES: (
            "tables of which none is the only one of the training images",
            "give the path of one table; put labels of another table into a column of it, as docs/own-data.md shows",
        ),
    }
)
"""What a folder without folders contains, by the ends of its files' names, and what to do."""

LEVELS: Final = ("", "*/", "*/*/")
"""How deep the files of ``FOLDERS_OF_OTHERS`` may be."""

FOLDERS_OF_OTHERS: Final = (
    (
        "*-idx[13]-ubyte*",
        "IDX files",
        "give --dataset fashion-mnist, mnist, kmnist or emnist, and the folder with --data",
    ),
    ("data_batch_*", "the batches of CIFAR-10", "give --dataset cifar10, and the folder of its archive with --data"),
    *(
        (name, "a data set that Hugging Face's library saved", "write its images to files, as docs/own-data.md shows")
        for name in ("dataset_dict.json", "dataset_info.json", "data-*.arrow")
    ),
)
"""Files by which a folder of another kind is known, what they are, and what to do."""


def load_dataset(  # noqa: PLR0913 - where data may come from, by keyword
    word: str,
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cache: Path,
    announce: Callable[[str], None],
    allow_sample: bool = False,
    reading: Reading = AS_STORED,
) -> Dataset:
    """Find, read and check a data set.

    Args:
        word: A name or a path. Names: ``fashion-mnist``; ``mnist``, ``kmnist``, ``emnist`` or ``cifar10``;
            ``digits`` of scikit-learn. Paths: a folder of images, an ``.npz`` or a table, see ``data/own``. Where there
            is no test split, a fifth of each class is drawn, the same each time.
        data: The folder of a data set that is given by name; None: the cache, where it is fetched if necessary.
        environ: The environment variables.
        cache: The folder where fetched files are kept.
        announce: Called with a line about each download, and about what makes accuracies mean less than they seem.
        allow_sample: Accept a folder with a sample of Fashion-MNIST.
        reading: What the user decides about the reading of images.

    Raises:
        InputError: The data do not exist, or have another form.
        SetupError: The data cannot be fetched.

    """
    started = time.perf_counter()
    path = Path(word)
    table = path if path.name.lower().endswith(SUFFIXES) else find_table(path) if is_folder(path) else None
    if table is None and (reading.label_column is not None or reading.test is not None):
        raise InputError(
            f"--{'test' if reading.label_column is None else 'label-column'} cannot be used with {word[:120]!r}",
            expected="a table such as a .csv file as --dataset",
            remedy="leave it out; a folder may have its test images in a folder of the name test",
        )
    tell, announce = announce, lambda line: tell(visible(line))  # names in archives and folders may be anything
    if word == FASHION_MNIST:
        found = find_dataset(data, environ=environ, cache=cache, announce=announce, allow_sample=allow_sample)
    elif word in NAMED:
        found = load_published(NAMED[word], data or cache / word, announce, download=data is None)
    elif word == "digits":
        digits = load_digits()
        halves = draw_test_images(_scale_digits(digits), digits.target)
        found = make_dataset("Digits of scikit-learn", "scikit-learn's copy", None, *halves)
    elif table is not None:
        found = load_table(table, _say_nothing, reading)
    elif is_folder(path):
        _refuse_other_folders(path)
        found = load_folder(path, _say_nothing, reading, cache)
    elif path.name.lower().endswith(".npz"):
        found = load_npz(path, _say_nothing)
    else:
        _refuse(word, path)
    if reading.image_size is not None:
        found = _resize(found, reading.image_size, reading)
    for remark in () if word == FASHION_MNIST else find_peculiarities(found):
        announce(remark)
    return replace(found, read_seconds=time.perf_counter() - started)


def _say_nothing(_: str) -> None:
    """Leave what was found by a rule to the source of the data set, which says it once."""


def _refuse(word: str, path: Path) -> NoReturn:
    """Refuse a name that is not known, or a file of another kind."""
    if is_file(path):
        raise InputError(
            f"{path} is not a kind of file that is read",
            expected="a folder of images, an .npz, a .csv or a .parquet file",
            remedy=next((what for ends, what in REMEDIES.items() if path.name.lower().endswith(ends)), OTHER_REMEDY),
        )
    raise InputError(
        f"unknown dataset {word[:120]!r}",
        expected=f"one of {', '.join(DATASETS)}, or the path of a folder of images, an .npz, a .csv or a .parquet file",
        remedy="give --dataset one of those",
    )


def _refuse_other_folders(path: Path) -> None:
    """Refuse folders whose files are not images, but have names that say what they are."""
    for name, what, remedy in FOLDERS_OF_OTHERS:
        if any(next(path.glob(f"{level}{name}"), None) for level in LEVELS):
            raise InputError(f"folder {path} contains {what}", expected="one folder of images per class", remedy=remedy)
    names = sorted(entry.name for entry in os.scandir(path))
    for ends, (what, remedy) in FILES_WITHOUT_FOLDERS.items():
        if any(name.lower().endswith(ends) for name in names) and not any((path / name).is_dir() for name in names):
            raise InputError(
                f"folder {path} contains {what}: {', '.join(names)[:200]}",
                expected="one folder of images per class, or one table or .npz",
                remedy=remedy,
            )


def _resize(dataset: Dataset, size: tuple[int, int], reading: Reading) -> Dataset:
    """Return a data set with images of another size; its name says so, because it is another data set."""
    channels, *stored = dataset.task.shape
    if (*stored,) == size:
        return dataset
    pairs = {
        "train": (dataset.train_images, dataset.train_labels),
        "test": (dataset.test_images, dataset.test_labels),
        "validation": (dataset.validation_images, dataset.validation_labels),
    }
    given = {
        half: (images.numpy(), labels.numpy())
        for half, (images, labels) in pairs.items()
        if images is not None and labels is not None
    }
    check_memory(dataset.name, sum(len(images) for images, _ in given.values()) * channels * size[0] * size[1])

    def resize(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        resized = np.empty((len(images), channels, *size), np.uint8)
        for place, image in enumerate(images):
            shown = Image.fromarray(image[0] if channels == 1 else np.moveaxis(image, 0, -1))
            fitted = np.asarray(fit_image(shown, size, reading.fit))
            resized[place] = fitted if channels == 1 else np.moveaxis(fitted, -1, 0)
        return resized

    found = make_dataset(
        f"{dataset.name} at {size[1]} x {size[0]}",
        f"{dataset.source}; {describe_fit(size, reading)}",
        None,
        **{half: (resize(images), labels) for half, (images, labels) in given.items()},
    )
    return replace(found, classes=dataset.classes, release=dataset.release)


def _scale_digits(digits: Bunch) -> NDArray[np.uint8]:
    """Return scikit-learn's digits, whose grey levels are 0 to 16, as (N, 1, 8, 8) of 0 to 255."""
    return np.asarray(np.rint(digits.images * (255 / 16)), dtype=np.uint8)[:, None]

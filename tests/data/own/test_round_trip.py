"""Digits and a sample of Fashion-MNIST, written in each format, come back byte for byte."""

import gzip
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from fashionbench.data.dataset import Dataset
from fashionbench.data.load import load_dataset

DIGITS = load_digits()
SCALED = np.rint(DIGITS.images[:300] * 255 / 16).astype(np.uint8)[:, None]  # (300, 1, 8, 8)
Images = NDArray[np.uint8]
Writer = Callable[[Path, Images, NDArray[np.int64]], Path]


def write_table(path: Path, images: Images, labels: NDArray[np.int64], **how: str | float) -> Path:
    """Write a row for each image: label first or last, any separator and number format."""
    separator, last = str(how.get("separator", ",")), bool(how.get("last", False))
    pixels = np.moveaxis(images, 1, -1).reshape(len(images), -1) / float(how.get("divisor", 1))
    names = [f"pixel{number}" for number in range(pixels.shape[1])]
    form = str(how.get("form", "{:.0f}"))
    lines = []
    for label, row in zip(labels, pixels, strict=True):
        cells = [form.format(value) for value in row]
        lines.append(separator.join([*cells, str(label)] if last else [str(label), *cells]))
    head = separator.join([*names, "label"] if last else ["label", *names])
    path.write_text("\n".join([*([head] if how.get("header", True) else []), *lines]), encoding="utf-8")
    return path


def csv(end: str = ".csv", **how: str | float) -> Writer:
    return lambda folder, images, labels: write_table(folder / f"own{end}", images, labels, **how)


def packed(end: str) -> Writer:
    def write(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
        plain = write_table(folder / "plain.txt", images, labels).read_bytes()
        if end == ".csv.gz":
            (folder / "own.csv.gz").write_bytes(gzip.compress(plain))
        else:
            with zipfile.ZipFile(folder / "own.zip", "w") as archive:
                archive.writestr("own.csv", plain)
        return folder / f"own{end}"

    return write


def files(suffix: str, *, mode: str = "", **how: Any) -> Writer:
    def write(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / "own" / str(label) / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
            (picture.convert(mode) if mode else picture).save(path, **how)
        return folder / "own"

    return write


def arrays(**how: str) -> Writer:
    def write(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
        first, rest = len(images) // 3, how.get("form", "")
        shaped: dict[str, Callable[[], NDArray[np.generic]]] = {
            "last": lambda: np.moveaxis(images, 1, -1),
            "float": lambda: (images / 255).astype(np.float32),
            "fortran": lambda: np.asfortranarray(images),
            "big": lambda: images.astype(">u2"),
        }
        found = shaped[rest]() if rest in shaped else images
        several = np.eye(10)[labels] if rest == "one-hot" else labels[:, None] if rest == "column" else labels
        names = how.get("names", "x_test y_test x_train y_train").split()
        parts = [found[:first], several[:first], found[first:], several[first:]] if len(names) > 2 else [found, several]
        named: dict[str, Any] = dict(zip(names, parts, strict=True))
        np.savez(folder / "own.npz", **named)
        return folder / "own.npz"

    return write


def parquet(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
    """Write a column for the label and one for each pixel, where pyarrow is installed."""
    pytest.importorskip("pyarrow", reason="pyarrow reads Parquet")
    names = [f"pixel{number}" for number in range(images[0].size)]
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=names).assign(label=labels)
    frame.to_parquet(folder / "own.parquet")
    return folder / "own.parquet"


def in_one_cell(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
    """Write all pixels of an image into one cell, as FER2013 has them."""
    rows = [f"{label},{' '.join(map(str, image.ravel()))}" for label, image in zip(labels, images, strict=True)]
    (folder / "own.csv").write_text("\n".join(["emotion,pixels", *rows]))
    return folder / "own.csv"


def in_halves(folder: Path, images: Images, labels: NDArray[np.int64]) -> Path:
    """Write a table for the training and one for the test."""
    for half, part in (("train", slice(0, None, 2)), ("test", slice(1, None, 2))):
        write_table(folder / f"own_{half}.csv", images[part], labels[part])
    return folder / "own_train.csv"


WRITERS = {
    "parquet": parquet,
    "csv with an image in a cell": in_one_cell,
    "csv pair": in_halves,
    "csv": csv(),
    "csv with the label last": csv(last=True),
    "csv without a header": csv(header=False),
    "csv with semicolons": csv(separator=";"),
    "csv in upper case": csv(".CSV"),
    "tsv": csv(".tsv", separator="\t"),
    "csv of fractions": csv(divisor=255, form="{:.8f}"),
    "csv of numbers with a point": csv(form="{:.1f}"),
    "csv.gz": packed(".csv.gz"),
    "zip": packed(".zip"),
    "png": files(".png"),
    "ppm": files(".pgm"),
    "bmp": files(".bmp"),
    "tif": files(".tif"),
    "webp": files(".webp", mode="RGB", lossless=True),
    "gif": files(".gif"),
    "keras": arrays(),
    "medmnist": arrays(names="test_images test_labels train_images train_labels", form="column"),
    "images and labels": arrays(names="images labels"),
    "one-hot": arrays(form="one-hot"),
    "channels last": arrays(form="last"),
    "floats": arrays(form="float"),
    "fortran order": arrays(form="fortran"),
    "big-endian": arrays(form="big"),
}


def count(found: Dataset) -> Counter[tuple[str, bytes]]:
    pairs = [(found.train_images, found.train_labels), (found.test_images, found.test_labels)]
    return Counter(
        (found.classes[label], image[:1].tobytes())
        for images, labels in pairs
        for image, label in zip(images.numpy(), labels.tolist(), strict=True)
    )


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("source", ["digits", "fashion"])
def test_what_is_written_comes_back(tmp_path: Path, form: str, source: str, sample: Dataset) -> None:
    images, labels = (
        (SCALED, DIGITS.target[:300])
        if source == "digits"
        else (sample.test_images.numpy(), sample.test_labels.numpy())
    )

    path = WRITERS[form](tmp_path, images, labels)
    found = load_dataset(str(path), None, environ={}, cache=tmp_path, announce=lambda _: None)

    assert count(found) == Counter((str(label), image.tobytes()) for image, label in zip(images, labels, strict=True))

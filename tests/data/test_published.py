"""MNIST, KMNIST, EMNIST and CIFAR-10 are verified before they are decoded, and none of their files is run."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fashionbench.data.dataset import Dataset
from fashionbench.data.published import NAMED, Publication, decode_batch, load_published
from fashionbench.data.readers import IDX_NAMES, encode_idx
from fashionbench.errors import InputError, SetupError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 28, 28), np.uint8)
TEST_IMAGES = RANDOM.integers(0, 256, (10, 28, 28), np.uint8)
PIXELS = RANDOM.integers(0, 256, (10, 3, 32, 32), np.uint8)
TEN = np.arange(10, dtype=np.uint8)


def idx_archives() -> dict[str, bytes]:
    arrays = [IMAGES, np.tile(TEN, 2), TEST_IMAGES, TEN]
    return {f"{name}.gz": gzip.compress(encode_idx(array)) for name, array in zip(IDX_NAMES, arrays, strict=True)}


def emnist_archive() -> dict[str, bytes]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in idx_archives().items():
            archive.writestr(f"gzip/emnist-balanced-{name.replace('t10k', 'test')}", content)
        archive.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", b"another split")
    return {"gzip.zip": stream.getvalue()}


def batch(pixels: NDArray[np.uint8], labels: NDArray[Any], *, by_columns: bool = False) -> bytes:
    """Return a pickle as Python 2 wrote it: strings of bytes, and an array of NumPy."""
    content = pixels.reshape(len(labels), -1).tobytes("F" if by_columns else "C")
    return b"".join(
        (
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05(",
            *(b"K" + bytes([label]) for label in labels),
            b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\tU\x01bq\n",
            b"\x87Rq\x0b(K\x01K" + bytes([len(labels)]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0cU\x02u1K\x00K\x01\x87Rq\r",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + (b"\x88" if by_columns else b"\x89"),
            b"T" + len(content).to_bytes(4, "little") + content + b"q\x0etb",
            b"U\tfilenamesq\x0f]q\x10(U\x05a.pngq\x11U\x05b.pngq\x12eu.",
        )
    )


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a gzipped tar with these files in the folder of CIFAR-10."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def cifar_archive() -> dict[str, bytes]:
    batches = {"batches.meta": b"no batch", "data_batch_2": batch(PIXELS + np.uint8(1), TEN)}
    return {"cifar-10-python.tar.gz": pack(batches | dict.fromkeys(("test_batch", "data_batch_1"), batch(PIXELS, TEN)))}


ARCHIVES = {"mnist": idx_archives(), "kmnist": idx_archives(), "emnist": emnist_archive(), "cifar10": cifar_archive()}


def publication(name: str) -> Publication:
    """Return a data set of that name whose right archives are the small ones of this module."""
    digests = {
        file: hashlib.md5(content, usedforsecurity=False).hexdigest() for file, content in ARCHIVES[name].items()
    }
    assert [*digests] == [*NAMED[name].digests]
    return replace(NAMED[name], digests=digests, classes=NAMED[name].classes[:10])


def put(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in ARCHIVES[name].items():
        (folder / file).write_bytes(content)


def read(name: str, root: Path) -> Dataset:
    return load_published(publication(name), root, lambda _: None, download=False)


@pytest.mark.parametrize(
    ("name", "title", "layout", "first_class"),
    [
        ("mnist", "MNIST", "MNIST/raw", "0 - zero"),
        ("kmnist", "KMNIST", "KMNIST/raw", "o"),
        ("emnist", "EMNIST balanced", "EMNIST/raw", "0"),
        ("cifar10", "CIFAR-10", ".", "airplane"),
    ],
)
def test_archives_are_read_where_torchvision_puts_them_and_in_the_folder_itself(
    tmp_path: Path, name: str, title: str, layout: str, first_class: str
) -> None:
    put(name, tmp_path / "a" / layout)
    put(name, tmp_path / "b")

    found, again = read(name, tmp_path / "a"), read(name, tmp_path / "b")

    assert (found.name, found.classes[0]) == (title, first_class)
    assert found.digests == again.digests
    assert found.train_labels.tolist() == [*range(10), *range(10)]
    assert found.test_labels.tolist() == [*range(10)]


def test_images_are_those_of_the_archives_and_letters_stand_upright(tmp_path: Path) -> None:
    for name in ARCHIVES:
        put(name, tmp_path / name)

    digits, letters, objects = (read(name, tmp_path / name) for name in ("mnist", "emnist", "cifar10"))

    assert (digits.train_images.numpy()[:, 0] == IMAGES).all()
    assert (digits.test_images.numpy()[:, 0] == TEST_IMAGES).all()
    assert (letters.train_images.numpy()[:, 0] == IMAGES.transpose(0, 2, 1)).all()
    assert (objects.train_images.numpy() == np.concatenate([PIXELS, PIXELS + 1])).all()
    assert (objects.test_images.numpy() == PIXELS).all()


@pytest.mark.parametrize("by_columns", [False, True])
def test_a_batch_gives_what_unpickling_would_give(*, by_columns: bool) -> None:
    labels = np.array([3, 0, 9, 255])
    content = batch(PIXELS[:4], labels, by_columns=by_columns)
    unpickled = pickle.loads(content, encoding="latin1")

    images, found = decode_batch(content)

    assert (images == unpickled["data"].reshape(-1, 3, 32, 32)).all()
    assert (images == PIXELS[:4]).all()
    assert found.tolist() == unpickled["labels"] == labels.tolist()


class Harmful:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_another_archive_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    harmful = pickle.dumps(Harmful(tmp_path / "was-run"))
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(pack({"data_batch_1": harmful}))

    with pytest.raises(InputError, match=r"has MD5 [0-9a-f]{32}\. Expected [0-9a-f]{32}, that of CIFAR-10; this is"):
        read("cifar10", tmp_path)
    assert not (tmp_path / "was-run").exists()


def test_fashion_mnist_is_no_mnist_and_unpacked_files_cannot_be_verified(tmp_path: Path, sample_folder: Path) -> None:
    for name in IDX_NAMES:
        (tmp_path / name).write_bytes((sample_folder / name).read_bytes())
    with pytest.raises(
        InputError, match=r"train-images-idx3-ubyte\.gz \(No such .*: its archive is needed, not the un"
    ):
        read("mnist", tmp_path)

    for name in IDX_NAMES:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    with pytest.raises(InputError, match=r"has MD5 .*\. Leave out --data to have MNIST downloaded"):
        read("mnist", tmp_path)


def test_what_is_missing_or_damaged_is_downloaded_from_the_first_mirror_that_has_it(tmp_path: Path) -> None:
    def fetch(address: str, folder: Path, *, filename: str, md5: str) -> None:
        if address.startswith(NAMED["mnist"].mirrors[0]):
            raise OSError("no answer")
        assert publication("mnist").digests[filename] == md5
        (folder / filename).write_bytes(ARCHIVES["mnist"][filename])

    put("mnist", tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    (tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz").unlink()
    said: list[str] = []

    found = load_published(publication("mnist"), tmp_path, said.append, download=True, fetch=fetch)

    assert len(found.test_images) == 10
    assert said == [
        f"Downloading t10k-{what}-ubyte.gz of MNIST from {mirror}"
        for what in ("images-idx3", "labels-idx1")
        for mirror in NAMED["mnist"].mirrors
    ]


def test_a_data_set_that_no_mirror_has_is_refused(tmp_path: Path) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise RuntimeError("File not found\nor corrupted.")

    with pytest.raises(
        SetupError, match=r"No CIFAR-10 found \(https://www\.cs\.toronto\.edu/~kriz/: File not found or"
    ):
        load_published(publication("cifar10"), tmp_path, lambda _: None, download=True, fetch=fetch)


def test_digests_are_those_that_torchvision_states() -> None:
    assert NAMED["mnist"].digests["train-images-idx3-ubyte.gz"] == "f68b3c2dcbeaaa9fbdd348bbdeb94873"
    assert NAMED["kmnist"].digests["t10k-labels-idx1-ubyte.gz"] == "7320c461ea6c1c855c0b718fb2a4b134"
    assert NAMED["emnist"].digests == {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}
    assert NAMED["cifar10"].digests == {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"}
    assert len(NAMED["emnist"].classes) == 47

"""A folder's release is recognised; anything but Fashion-MNIST is refused in one line."""

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import FashionMNIST

from fashionbench.catalogue import CURRENT_RELEASE, OLDER_RELEASE
from fashionbench.data import fashion_mnist
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import SAMPLE, cache_folder, find_dataset, read_folder
from fashionbench.data.readers import CSV_HEADER, CSV_NAMES, IDX_NAMES, encode_idx
from fashionbench.errors import InputError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = IDX_NAMES


def find(folder: Path | None, cache: Path, *, environ: dict[str, str] | None = None, sample: bool = True) -> Dataset:
    return find_dataset(folder, environ=environ or {}, cache=cache, announce=lambda _: None, allow_sample=sample)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def csv_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    rows = [",".join([str(label), *["7"] * 784]) for label in [*range(10)] * 3]
    for name in CSV_NAMES:
        (folder / name).write_text("\n".join([CSV_HEADER, *rows]))
    return folder


def test_images_and_labels_are_whole_arrays_in_memory(folder: Path, cache: Path) -> None:
    found = find(folder, cache)

    assert found.train_images.shape == (400, 1, 28, 28)
    assert found.train_images.dtype == torch.uint8
    assert found.test_labels.dtype == torch.int64
    assert found.test_labels.bincount().tolist() == [20] * 10
    assert found.release == SAMPLE
    assert found.source == "the folder given with --data"
    assert found.classes[0] == "T-shirt/top"


def test_images_and_labels_are_those_of_torchvisions_reader(folder: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copytree(folder, tmp_path / "FashionMNIST" / "raw")
    train, test = (FashionMNIST(tmp_path, train=half, download=False) for half in (True, False))

    found = find(folder, cache)

    for ours, theirs in (
        (found.train_images, train.data.unsqueeze(1)),
        (found.train_labels, train.targets),
        (found.test_images, test.data.unsqueeze(1)),
        (found.test_labels, test.targets),
    ):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    assert found.classes == tuple(FashionMNIST.classes)


def test_gzipped_files_and_torchvisions_layout_are_read_alike(folder: Path, tmp_path: Path, cache: Path) -> None:
    raw = tmp_path / "root" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in IDX_NAMES:
        (raw / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))

    zipped, plain = find(tmp_path / "root", cache), find(folder, cache)

    assert zipped.digests == plain.digests
    assert torch.equal(zipped.test_images, plain.test_images)


def test_a_csv_pair_is_read_into_the_same_shape(csv_folder: Path, cache: Path) -> None:
    found = find(csv_folder, cache)

    assert found.train_images.shape == (30, 1, 28, 28)
    assert found.train_labels[:10].tolist() == [*range(10)]
    assert int(found.train_images[0, 0, 0, 0]) == 7


def test_the_folder_named_in_the_environment_comes_before_the_cache(folder: Path, cache: Path) -> None:
    found = find(None, cache, environ={"FASHIONBENCH_DATA": str(folder)})

    assert found.source == "the folder that FASHIONBENCH_DATA names"


def test_a_bad_folder_given_is_an_error_and_never_passed_over(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"nowhere does not exist\. Expected a folder with train-images.*Check the path"
    ):
        find(tmp_path / "nowhere", cache)
    with pytest.raises(InputError, match="nowhere does not exist"):
        find(None, cache, environ={"FASHIONBENCH_DATA": str(tmp_path / "nowhere")})
    assert not cache.exists()


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.csv").write_text("")

    with pytest.raises(InputError, match=r"x\.csv is a file"):
        find(tmp_path / "x.csv", cache)


def test_a_folder_without_the_files_says_which_are_there(folder: Path, cache: Path) -> None:
    (folder / TEST_IMAGES).unlink()

    with pytest.raises(InputError, match=rf"contains only {TRAIN_IMAGES}, {TRAIN_LABELS}, {TEST_LABELS}\. Expected"):
        find(folder, cache)


def test_an_empty_folder_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="contains none of the files"):
        find(tmp_path, cache)


def test_an_idx_half_with_a_csv_half_is_refused_because_test_images_would_leak(
    folder: Path, csv_folder: Path, cache: Path
) -> None:
    (folder / TEST_IMAGES).unlink()
    (folder / TEST_LABELS).unlink()
    shutil.copy(csv_folder / CSV_NAMES[1], folder)

    with pytest.raises(InputError, match=r"2 of the 4 IDX files and 1 of the 2 CSV.*mixing them puts test images"):
        find(folder, cache)


def test_a_label_of_ten_is_refused_with_its_number(folder: Path, cache: Path) -> None:
    labels = np.arange(200, dtype=np.uint8) % 10
    labels[6] = 10
    (folder / TEST_LABELS).write_bytes(encode_idx(labels))

    with pytest.raises(InputError, match=r"test label 7 is 10\. Expected 0 to 9"):
        find(folder, cache)


@pytest.mark.parametrize("shape", [(400, 27, 28), (399, 28, 28)])
def test_images_of_another_size_or_number_are_refused(folder: Path, cache: Path, shape: tuple[int, ...]) -> None:
    (folder / TRAIN_IMAGES).write_bytes(encode_idx(np.zeros(shape, np.uint8)))

    with pytest.raises(InputError, match=f"training images of shape {' x '.join(map(str, shape))} with 400 labels"):
        find(folder, cache)


def full_size(folder: Path, train_labels: list[int], test_labels: list[int]) -> None:
    for names, begin, count in (
        ((TRAIN_IMAGES, TRAIN_LABELS), train_labels, 60_000),
        ((TEST_IMAGES, TEST_LABELS), test_labels, 10_000),
    ):
        labels = np.resize(np.array(begin, dtype=np.uint8), count)
        (folder / names[0]).write_bytes(encode_idx(np.zeros((count, 28, 28), np.uint8)))
        (folder / names[1]).write_bytes(encode_idx(labels))


def test_mnist_under_fashion_mnists_names_is_refused_by_its_digest(folder: Path, cache: Path) -> None:
    full_size(folder, [5, 0, 4, 1, 9, 2, 1, 3], [7, 2, 1, 0, 4, 1, 4, 9])

    with pytest.raises(InputError, match=r"has SHA-256 .*another data set \(MNIST has the same names and sizes\)"):
        find(folder, cache)
    assert not cache.exists()


def test_the_current_release_is_recognised_by_its_digests(folder: Path) -> None:
    full_size(folder, [9, 0, 0, 3], [9, 2, 1, 1])
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}

    found = read_folder(folder, "a test", digests=digests)

    assert found.release == CURRENT_RELEASE
    assert found.digests == digests
    assert found.described == f"Fashion-MNIST, {CURRENT_RELEASE}, from a test"


def test_the_older_draw_is_recognised_by_its_labels(folder: Path, cache: Path) -> None:
    full_size(folder, [2, 9, 6, 0, 3, 4, 4, 5], [0, 1, 2, 2, 3, 2, 8, 6])

    found = find(folder, cache, sample=False)

    assert found.release == OLDER_RELEASE
    assert len(found.train_images) == 60_000


def test_a_sample_is_refused_for_a_result(folder: Path, cache: Path) -> None:
    with pytest.raises(InputError, match=r"400 training and 200 test images\. Expected 60,000 and 10,000.*is_result"):
        find(folder, cache, sample=False)


def test_a_folder_that_was_given_is_not_copied_to_the_cache(folder: Path, csv_folder: Path, cache: Path) -> None:
    find(folder, cache)
    find(csv_folder, cache)

    assert not cache.exists()


def test_the_digests_of_a_csv_are_those_of_the_same_data_as_idx(folder: Path, csv_folder: Path, cache: Path) -> None:
    as_csv = find(csv_folder, cache)
    tensors = (as_csv.train_images, as_csv.train_labels, as_csv.test_images, as_csv.test_labels)
    for name, tensor in zip(IDX_NAMES, tensors, strict=True):
        (folder / name).write_bytes(encode_idx(tensor.numpy().astype(np.uint8).squeeze()))

    as_idx = find(folder, cache)

    assert as_idx.digests == as_csv.digests
    assert torch.equal(as_idx.train_images, as_csv.train_images)


def test_without_a_folder_the_data_come_from_the_cache_or_a_source(
    cache: Path, monkeypatch: pytest.MonkeyPatch, sample: Dataset
) -> None:
    asked: list[Path] = []

    def fetch(folder: Path, _: object) -> Dataset:
        asked.append(folder)
        return sample

    monkeypatch.setattr(fashion_mnist, "fetch_dataset", fetch)

    assert find(None, cache).source == sample.source
    assert asked == [cache]


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_folder().name == "fashionbench"

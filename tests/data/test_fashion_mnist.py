"""Right data is found, verified and recognised; anything else is refused in one line, and nothing is half-written."""

import gzip
import os
import shutil
import stat
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import FashionMNIST

from fashionbench.data import fashion_mnist as data
from fashionbench.data import fetch, readers
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import CURRENT, OLDER, SAMPLE, cache_folder, find_dataset
from fashionbench.data.readers import CSV_HEADER, CSV_NAMES, IDX_NAMES, encode_idx
from fashionbench.errors import InputError, SetupError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = IDX_NAMES


def find(folder: Path | None, cache: Path, *, environ: dict[str, str] | None = None, sample: bool = True) -> Dataset:
    return find_dataset(folder, environ=environ or {}, cache=cache, announce=lambda _: None, allow_sample=sample)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def write_csv(path: Path, labels: list[int], *, header: str = CSV_HEADER, pixel: str = "7") -> None:
    rows = [",".join([str(label), *[pixel] * 784]) for label in labels]
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def csv_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    for name in CSV_NAMES:
        write_csv(folder / name, [*range(10)] * 3)
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
    with pytest.raises(InputError, match=r"nowhere is not there\. Expected a folder of train-images.*Check the path"):
        find(tmp_path / "nowhere", cache)
    with pytest.raises(InputError, match="nowhere is not there"):
        find(None, cache, environ={"FASHIONBENCH_DATA": str(tmp_path / "nowhere")})
    assert not cache.exists()


def test_a_file_in_place_of_a_folder_is_said_so(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.csv").write_text("")

    with pytest.raises(InputError, match=r"x\.csv is a file"):
        find(tmp_path / "x.csv", cache)


def test_a_folder_without_the_files_says_which_are_there(folder: Path, cache: Path) -> None:
    (folder / TEST_IMAGES).unlink()

    with pytest.raises(InputError, match=rf"holds only {TRAIN_IMAGES}, {TRAIN_LABELS}, {TEST_LABELS}\. Expected"):
        find(folder, cache)


def test_an_empty_folder_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="holds none of the files"):
        find(tmp_path, cache)


def test_an_idx_half_with_a_csv_half_is_refused_because_test_images_would_leak(
    folder: Path, csv_folder: Path, cache: Path
) -> None:
    (folder / TEST_IMAGES).unlink()
    (folder / TEST_LABELS).unlink()
    shutil.copy(csv_folder / CSV_NAMES[1], folder)

    with pytest.raises(InputError, match=r"2 of the 4 IDX files and 1 of the 2 CSV.*mixing them puts test images"):
        find(folder, cache)


def test_a_truncated_gz_is_refused_and_nothing_is_written(folder: Path, cache: Path) -> None:
    whole = gzip.compress((folder / TRAIN_IMAGES).read_bytes())
    (folder / TRAIN_IMAGES).unlink()
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputError, match=r"gz is a broken gz file \(Compressed file ended.*Fetch it again"):
        find(folder, cache)
    assert not cache.exists()


def test_a_gz_bomb_is_refused_without_being_unpacked(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_IDX_BYTES", 1_000)
    (folder / TRAIN_IMAGES).unlink()
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(bytes(10_000)))

    with pytest.raises(InputError, match=r"holds over 1,000 bytes\. Expected at most that"):
        find(folder, cache)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root reads any file, Windows has no such mode"
)
def test_an_unreadable_file_is_refused(folder: Path, cache: Path) -> None:
    (folder / TRAIN_IMAGES).chmod(0)

    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        find(folder, cache)


@pytest.mark.parametrize("reader", [readers.read_idx_bytes, readers.read_csv])
def test_a_file_that_vanished_is_refused(tmp_path: Path, reader: object) -> None:
    assert callable(reader)

    with pytest.raises(
        InputError, match=r"gone cannot be read \(No such file or directory\)\. Expected a readable file"
    ):
        reader(tmp_path / "gone")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with the bytes none\. Expected 00 00 08 03, an IDX file of images"),
        (b"\x00\x00\x08\x01" + bytes(8), "begins with the bytes 00 00 08 01"),
        (
            b"\x00\x00\x08\x03" + struct.pack(">3I", 2, 28, 28) + bytes(10),
            r"holds 10 values\. Expected 1,568, .*2 x 28",
        ),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "holds 0 values"),
        (encode_idx(np.zeros((400, 28, 28), np.uint8)) + b"\x00", r"holds 313,601 values\. Expected 313,600"),
        (encode_idx(np.zeros((400, 27, 28), np.uint8)), "training images of shape 400 x 27 x 28 with 400 labels"),
        (encode_idx(np.zeros((399, 28, 28), np.uint8)), "training images of shape 399 x 28 x 28 with 400 labels"),
    ],
)
def test_an_idx_file_that_is_not_what_its_head_says_is_refused(
    folder: Path, cache: Path, content: bytes, message: str
) -> None:
    (folder / TRAIN_IMAGES).write_bytes(content)

    with pytest.raises(InputError, match=message):
        find(folder, cache)
    assert not cache.exists()


def test_a_label_of_ten_is_refused_with_its_place(folder: Path, cache: Path) -> None:
    labels = np.arange(200, dtype=np.uint8) % 10
    labels[6] = 10
    (folder / TEST_LABELS).write_bytes(encode_idx(labels))

    with pytest.raises(InputError, match=r"test label 7 is 10\. Expected 0 to 9"):
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


def test_the_older_draw_is_recognised_by_its_labels(folder: Path, cache: Path) -> None:
    full_size(folder, [2, 9, 6, 0, 3, 4, 4, 5], [0, 1, 2, 2, 3, 2, 8, 6])

    found = find(folder, cache, sample=False)

    assert found.release == OLDER
    assert len(found.train_images) == 60_000


def test_a_sample_is_refused_for_a_result(folder: Path, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"400 training and 200 test images\. Expected 60,000 and 10,000\. .*is_result"
    ):
        find(folder, cache, sample=False)


@pytest.mark.parametrize(
    ("header", "labels", "pixel", "message"),
    [
        (CSV_HEADER.removesuffix(",pixel784"), [1], "7", r"has 784 columns, 'pixel784' missing\. Expected 785"),
        (CSV_HEADER.replace("label,pixel1,", "pixel1,label,"), [1], "7", "785 columns, in another order"),
        (CSV_HEADER, [1, 10], "7", r"has a label of 10 in row 2\. Expected 0 to 9"),
        (CSV_HEADER, [1], "256", r"has a pixel of 256 in row 1\. Expected 0 to 255"),
        (CSV_HEADER, [1], "-1", "has a pixel of -1 in row 1"),
        (CSV_HEADER, [1], "x", r"could not convert string 'x'.*\. Expected 785 whole numbers in each row"),
        (CSV_HEADER, [1], "7,7", "has 1 rows of 1569 columns"),
        (CSV_HEADER, [1], "7" * 30, "has more than 16,384 bytes in a line"),
    ],
)
def test_a_csv_that_is_not_the_kaggle_one_is_refused(
    csv_folder: Path, cache: Path, header: str, labels: list[int], pixel: str, message: str
) -> None:
    write_csv(csv_folder / CSV_NAMES[0], labels, header=header, pixel=pixel)

    with pytest.raises(InputError, match=message):
        find(csv_folder, cache)
    assert not cache.exists()


def test_a_csv_with_a_row_too_short_is_refused(csv_folder: Path, cache: Path) -> None:
    path = csv_folder / CSV_NAMES[1]
    path.write_text(path.read_text() + "1,2,3\n")

    with pytest.raises(InputError, match=r"the number of columns changed from 785 to 3"):
        find(csv_folder, cache)


def test_a_csv_of_too_many_rows_is_refused(csv_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_CSV_ROWS", 20)

    with pytest.raises(InputError, match=r"has more rows\. Expected at most 20 rows"):
        find(csv_folder, cache)


def test_a_csv_without_rows_is_refused(csv_folder: Path, cache: Path) -> None:
    write_csv(csv_folder / CSV_NAMES[0], [])

    with pytest.warns(UserWarning, match="input contained no data"), pytest.raises(InputError, match="has 0 rows"):
        find(csv_folder, cache)


def test_a_cache_that_cannot_be_written_is_refused(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")

    with pytest.raises(SetupError, match=r"cannot be written \(Not a directory\).*set XDG_CACHE_HOME"):
        find(folder, blocked)


@pytest.fixture
def sample_is_current(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the sample pass for the current release, so that sources can be tested on small files."""
    digests = {name: data.hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}  # type: ignore[attr-defined]
    monkeypatch.setattr(data, "DIGESTS", digests)
    monkeypatch.setattr(fetch, "PACKAGE_FOLDER", Path("no/such/folder"))
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("PATH", "")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_an_installed_package_is_used_and_kept_in_the_cache(
    sample_is_current: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PACKAGE_FOLDER", sample_is_current)

    first, second = find(None, cache), find(None, cache)

    assert (first.release, first.source) == (CURRENT, "Debian package dataset-fashion-mnist")
    assert second.source == "the cache"
    assert {path.name for path in (cache / "current/FashionMNIST/raw").iterdir()} == set(IDX_NAMES)


def test_a_damaged_cache_is_said_and_made_anew(
    sample_is_current: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PACKAGE_FOLDER", sample_is_current)
    find(None, cache)
    damaged = cache / "current/FashionMNIST/raw" / TEST_LABELS
    damaged.write_bytes(damaged.read_bytes()[:-1])
    said: list[str] = []

    found = find_dataset(None, environ={}, cache=cache, announce=said.append)

    assert found.source == "Debian package dataset-fashion-mnist"
    assert said[0].startswith("The cache is damaged and will be made anew")
    assert find(None, cache).source == "the cache"


def test_where_no_source_has_it_each_is_named_with_its_reason(sample_is_current: Path, cache: Path) -> None:
    assert sample_is_current.is_dir()

    with pytest.raises(SetupError) as refused:
        find(None, cache)

    message = str(refused.value)
    assert "Debian package dataset-fashion-mnist: not installed" in message
    assert "torchvision's mirror: Error downloading" in message
    assert "downloaded: no apt-get here" in message
    assert "sudo apt-get install dataset-fashion-mnist, or give a folder with --data PATH" in message
    assert not cache.exists()


def test_the_archives_package_is_unpacked_without_root(
    sample_is_current: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    program(programs, "apt-get", ": > dataset-fashion-mnist_1_all.deb")
    program(programs, "dpkg-deb", f'/bin/mkdir -p "$3/unpacked" && /bin/cp {sample_is_current}/* "$3/unpacked"')
    monkeypatch.setattr(fetch, "PACKAGE_FOLDER", Path("unpacked"))
    monkeypatch.setenv("PATH", str(programs))

    found = find(None, cache)

    assert found.source == "Debian package dataset-fashion-mnist, downloaded"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'E: no network' >&2; exit 100", r"apt-get failed \(E: no network\)"),
        ("/bin/sleep 5", "apt-get took too l"),
    ],
)
def test_an_archive_that_fails_or_hangs_is_told(
    sample_is_current: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    assert sample_is_current.is_dir()
    program(tmp_path, "apt-get", script)
    program(tmp_path, "dpkg-deb", "exit 1")
    monkeypatch.setattr(fetch, "PROGRAM_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupError, match=message):
        find(None, cache)


def test_the_mirrors_files_are_used(sample_is_current: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mirror(FashionMNIST):  # type: ignore[misc]  # torchvision ships no types
        def __init__(self, root: Path, *, train: bool = True, download: bool) -> None:
            if download:
                shutil.copytree(sample_is_current, Path(root) / "FashionMNIST" / "raw")
            super().__init__(root, train=train, download=False)

    Mirror.__name__ = "FashionMNIST"  # torchvision names its folder by the class
    monkeypatch.setattr(fetch, "FashionMNIST", Mirror)

    assert find(None, cache).source == "torchvision's mirror"


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_folder().name == "fashionbench"

"""The tables of training, validation and test images are found by their names, next to each other or in an archive."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tables import IMAGES, LABELS, NAMES, PIXELS, count, expected, refusal, write

from fashionbench.data.dataset import Reading
from fashionbench.data.load import load_dataset
from fashionbench.data.own.tables.table import load_table
from fashionbench.errors import InputError, SetupError

HEADER = ["label", *NAMES]


def write_half(path: Path, part: slice, names: list[str] | None = HEADER) -> Path:
    return write(path, [LABELS[part], PIXELS[part]], names)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("x_train.csv", "x_test.csv"),
        ("train.csv", "test.csv"),
        ("sign_mnist_train.csv", "sign_mnist_test.csv"),
        ("MNIST-Train.CSV", "MNIST-Test.CSV"),
        ("emnist-balanced-train.tsv", "emnist-balanced-test.tsv"),
    ],
)
@pytest.mark.parametrize("names", [HEADER, None])
def test_the_table_next_to_it_has_the_test_images(
    tmp_path: Path, train: str, test: str, names: list[str] | None
) -> None:
    path = write_half(tmp_path / train, slice(60), names)
    write_half(tmp_path / test, slice(60, None), names)
    said: list[str] = []

    found = load_table(path, said.append)

    assert (found.train_images[:, 0].numpy() == IMAGES[:60]).all()
    assert (found.test_images[:, 0].numpy() == IMAGES[60:]).all()
    assert [found.classes[label] for label in found.test_labels] == LABELS[60:].astype(str).tolist()
    assert f"{train}: {test} has the test images" in said
    assert f"{test} has the test images" in found.source


def test_a_table_that_the_user_names_has_the_test_images(tmp_path: Path) -> None:
    path, other = write_half(tmp_path / "a.csv", slice(60)), write_half(tmp_path / "b.csv", slice(60, None))

    found = load_table(path, lambda _: None, Reading(test=other))

    assert (len(found.train_images), len(found.test_images)) == (60, 40)


def test_validation_images_stay_so_and_without_test_images_they_are_for_the_test(tmp_path: Path) -> None:
    path = write_half(tmp_path / "x_train.csv", slice(60))
    write_half(tmp_path / "x_val.csv", slice(60, None))
    of_two = load_table(path, lambda _: None)
    write_half(tmp_path / "x_test.csv", slice(50, 90))
    of_three = load_table(path, lambda _: None)

    assert (len(of_two.test_images), of_two.validation_images) == (40, None)
    assert len(of_three.test_images) == 40
    assert of_three.validation_images is not None
    assert (of_three.validation_images[:, 0].numpy() == IMAGES[60:]).all()


@pytest.mark.parametrize("header", [NAMES, None, ["id", *NAMES]])
def test_a_test_table_without_labels_is_not_used(tmp_path: Path, header: list[str] | None) -> None:
    path = write_half(tmp_path / "train.csv", slice(None), HEADER if header else None)
    write(tmp_path / "test.csv", [np.arange(100), PIXELS] if header and len(header) > 64 else [PIXELS], header)
    said: list[str] = []

    found = load_table(path, said.append)

    assert count(found) == expected()
    assert said[0] == "train.csv: test.csv is not used: it has no labels"
    assert "has no labels" in found.source
    if header:
        assert f"no column among {len(header)} could be the label" in refusal(tmp_path / "test.csv")
        assert "could be the label" in refusal(path, Reading(test=tmp_path / "test.csv"))


def test_a_pair_in_one_archive_or_in_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "data" / "sign_train").mkdir(parents=True)
    for folder in ("data", "data/sign_train"):  # Kaggle's archives have some files twice
        write_half(tmp_path / folder / "sign_train.csv", slice(60))
    write_half(tmp_path / "data" / "sign_test.csv", slice(60, None))
    (tmp_path / "data" / "alphabet.png").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*")):
            archive.write(path, path.relative_to(tmp_path / "data"))

    for name in ("data", "archive.zip"):
        found = load_dataset(str(tmp_path / name), None, environ={}, cache=tmp_path, announce=lambda _: None)

        assert (found.train_images[:, 0].numpy() == IMAGES[:60]).all()
        assert (found.test_images[:, 0].numpy() == IMAGES[60:]).all()


def test_an_archive_of_images_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("cat/1.png", b"x")

    assert "pets.zip contains no table, but cat/1.png. Expected a .csv file in it. Unpack it; if it" in refusal(
        tmp_path / "pets.zip"
    )


def test_an_option_of_tables_is_refused_for_other_data(tmp_path: Path) -> None:
    for reading, flag in ((Reading(test=Path("x.csv")), "--test"), (Reading(label_column="y"), "--label-column")):
        with pytest.raises(InputError, match=f"{flag} cannot be used with 'digits'. Expected a table"):
            load_dataset("digits", None, environ={}, cache=tmp_path, announce=lambda _: None, reading=reading)


def test_parquet_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd  # noqa: PLC0415 - of this test alone

    frame = pd.DataFrame(np.column_stack([PIXELS, LABELS]), columns=[*NAMES, "label"])
    frame.to_parquet(tmp_path / "own.parquet")

    found = load_table(tmp_path / "own.parquet", lambda _: None)

    assert count(found) == expected()
    assert found.source.startswith("a Parquet file")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "own.parquet").read_bytes()[:-20])
    assert "cut.parquet cannot be read (" in refusal(tmp_path / "cut.parquet")


def test_parquet_without_its_library_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "own.parquet").write_bytes(b"PAR1")

    with pytest.raises(SetupError, match="Run: python -m pip install pyarrow"):
        load_table(tmp_path / "own.parquet", lambda _: None)

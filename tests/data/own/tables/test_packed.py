"""A column may have all pixels of an image in each cell, and another may say the half of each image."""

from pathlib import Path

import numpy as np
import pytest
from tables import IMAGES, LABELS, NAMES, PIXELS, expected, read, refusal, write

from fashionbench.data.own.tables.table import load_table

HALVES = np.array(["Training", "PublicTest", "Training", "PrivateTest"] * 25)
HANDS = np.arange(100) // 4 % 2


def packed(form: str) -> np.ndarray:
    return np.array([form.format(*map(str, row)) for row in PIXELS])


SPACES = packed(" ".join(["{}"] * 64))


@pytest.mark.parametrize(
    "cells",
    [SPACES, packed(f'"[{", ".join(["{}"] * 64)}]"'), packed(f'"[{" ".join(["{}"] * 40)}\n {" ".join(["{}"] * 24)}]"')],
)
@pytest.mark.parametrize("names", [["emotion", "pixels"], None])
def test_all_pixels_may_stand_in_one_cell(tmp_path: Path, cells: np.ndarray, names: list[str] | None) -> None:
    found, _ = read(write(tmp_path / "own.csv", [LABELS, cells], names))

    assert found == expected()


def test_a_column_says_the_half_of_each_image(tmp_path: Path) -> None:
    said: list[str] = []

    found = load_table(
        write(tmp_path / "own.csv", [HANDS, SPACES, HALVES], ["emotion", "pixels", "Usage"]), said.append
    )

    assert (found.train_images[:, 0].numpy() == IMAGES[::2]).all()
    assert found.validation_images is not None
    assert (found.validation_images[:, 0].numpy() == IMAGES[1::4]).all()
    assert (found.test_images[:, 0].numpy() == IMAGES[3::4]).all()
    assert said == [
        "own.csv: a column says which images are for training, validation and test",
        "own.csv: column 'emotion' is the label",
    ]


def test_it_may_stand_next_to_single_pixels(tmp_path: Path) -> None:
    halves = np.where(np.arange(100) < 60, "train", "val")

    found = load_table(
        write(tmp_path / "own.csv", [halves, LABELS, PIXELS], ["split", "label", *NAMES]), lambda _: None
    )

    assert (len(found.train_images), len(found.test_images)) == (60, 40)


@pytest.mark.parametrize(
    ("halves", "words"),
    [
        (np.arange(100) % 5, "column 'split' has '0'. Expected train, validation or test for each image"),
        (np.array(["test"] * 100), "column 'split' has no training rows. Expected"),
        (np.array([*["train"] * 99, ""]), "column 'split' has ''"),
    ],
)
def test_a_column_that_says_something_else_is_refused(tmp_path: Path, halves: np.ndarray, words: str) -> None:
    assert words in refusal(write(tmp_path / "own.csv", [LABELS, halves, PIXELS], ["label", "split", *NAMES]))


def test_cells_with_unlike_numbers_of_pixels_are_refused(tmp_path: Path) -> None:
    short, long = SPACES.copy(), SPACES.astype(object)
    short[7] = short[7][:40]
    long[7] = long[7] + " 5 6"

    assert "own.csv, row 9, column 'pixel" in refusal(write(tmp_path / "own.csv", [LABELS, short], ["label", "pixels"]))
    assert "Expected 64 fields in line 8, saw 66" in refusal(
        write(tmp_path / "own.csv", [LABELS, long], ["label", "pixels"])
    )

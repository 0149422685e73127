"""A data set is described so that a person sees what was read: its classes, its range, and which images are equal."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fashionbench.data.arrays import make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.data.overview import describe, find_equal, find_peculiarities, write_preview
from fashionbench.errors import SetupError

SHADES = [0, 10, 20, 10, 30, 30]
TEST_SHADES = [20, 40, 40, 30, 200, 90]
LABELS = np.array([0, 0, 0, 1, 1, 1])


def find_font(_: str) -> Path:
    """Name a file that is no font: Pillow's own is used."""
    return Path(__file__)


def plain(shades: list[int], channels: int = 1) -> NDArray[Any]:
    """Return an image of a single shade for each shade."""
    return np.broadcast_to(np.array(shades, np.uint8)[:, None, None, None], (len(shades), channels, 5, 4))


def pets(channels: int = 1) -> Dataset:
    halves = ((plain(shades, channels), LABELS) for shades in (SHADES, TEST_SHADES))
    return make_dataset("pets", "a test", ("cat", "dog"), *halves)


def test_equal_images_are_found_within_the_halves_and_across() -> None:
    equal = find_equal(pets())

    assert equal.repeated_in_training.tolist() == [False, False, False, True, False, True]
    assert equal.repeated_in_test.tolist() == [False, False, True, False, False, False]
    assert equal.in_both.tolist() == [True, False, False, True, False, False]
    assert equal.differing_labels == 2  # 10 is a cat and a dog


def test_a_data_set_is_described_class_by_class() -> None:
    lines = describe(pets())

    assert lines[:9] == [
        "pets, from a test",
        "6 training and 6 test images",
        "5 x 4 pixels in grey, values from 0 to 200",
        "class  training      test  repeated in training  repeated in test   in both",
        "cat           3         3                     0                 1         1",
        "dog           3         3                     2                 0         1",
        "all           6         6                     2                 1         2",
        "Repeated: equal to an earlier image. In both: test images that are training images, too.",
        "2 images equal one with another label.",
    ]
    assert [line.partition("  sha256 ")[0] for line in lines[9:]] == [
        *("training images", "training labels", "test images", "test labels")
    ]


def test_where_no_images_are_equal_the_table_is_short() -> None:
    halves = ((plain(shades, 3), np.array([0, 0, 1, 1])) for shades in ([0, 1, 2, 3], [4, 5, 6, 7]))

    lines = describe(make_dataset("pets", "a test", None, *halves))

    assert lines[2:8] == [
        "5 x 4 pixels in colour, values from 0 to 7",
        "class  training      test",
        "0             2         2",
        "1             2         2",
        "all           4         4",
        "No two images are equal.",
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_contact_sheet_has_a_row_of_images_for_each_class(tmp_path: Path, channels: int) -> None:
    write_preview(pets(channels), tmp_path / "new" / "sheet.png", find_font)

    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (4 + 2 * 68, 160 + 10 * (51 + 4), 3)
    shades = [[int(pixels[4 + row * 68 + 30, 160 + place * 55 + 20, 0]) for place in range(4)] for row in range(2)]
    assert shades == [[0, 10, 20, 255], [10, 30, 30, 255]]
    assert (pixels[4:68, :160] < 128).any()  # the name


def test_each_name_on_a_contact_sheet_has_a_font_with_its_letters(tmp_path: Path) -> None:
    asked: list[str] = []
    font = next(Path(mpl.get_data_path(), "fonts", "ttf").glob("DejaVuSans.ttf"))

    def ask(text: str) -> Path:
        asked.append(text)
        return font

    write_preview(pets(), tmp_path / "dejavu.png", ask)
    write_preview(pets(), tmp_path / "own.png", find_font)

    assert asked == ["0  cat", "1  dog"]
    assert (tmp_path / "dejavu.png").read_bytes() != (tmp_path / "own.png").read_bytes()


def test_large_images_are_made_smaller_on_a_contact_sheet(tmp_path: Path) -> None:
    images = np.zeros((4, 1, 20, 200), np.uint8)
    images[1:] = 255
    half = (images, np.array([0, 0, 1, 1]))

    write_preview(make_dataset("wide", "a test", None, half, half), tmp_path / "sheet.png", find_font)

    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (160 + 10 * 68, 4 + 2 * 10)


def test_a_contact_sheet_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(
        SetupError, match=r"sheet\.png cannot be written \(.*\)\. .* Choose another file with --preview"
    ):
        write_preview(pets(), tmp_path / "file" / "sheet.png", find_font)


def test_validation_images_of_the_data_are_counted_too() -> None:
    half = (plain([0, 200]), np.array([0, 1]))
    other = (plain([1, 2, 3]), np.array([0, 1, 1]))

    lines = describe(make_dataset("pets", "a test", ("cat", "dog"), half, (plain([5, 6]), np.array([0, 1])), other))

    assert lines[1] == "2 training, 3 validation and 2 test images"
    assert lines[3:5] == ["class  training  validation      test", "cat           1           1         1"]


def test_what_makes_the_accuracy_mean_less_is_told() -> None:
    few = (plain([0, 1, 2, 3, 4]), np.array([0, 0, 0, 0, 1]))
    bright = (plain([5, 200]), np.array([0, 1]))

    assert find_peculiarities(make_dataset("pets", "a test", ("cat", "dog"), bright, bright)) == [
        "2 of 2 test images are training images, too: accuracies on them say nothing of new images"
    ]
    assert find_peculiarities(
        make_dataset("pets", "a test", ("cat", "dog"), few, (plain([9, 8]), np.array([0, 1])))
    ) == [
        (
            "Classes are unlike: cat has 4 training images, dog has 1. Accuracy is mostly that of large classes; "
            "--score balanced compares balanced accuracy, which counts all classes alike"
        ),
        "The brightest pixel is 9 of 255: check the range of the pixels",
    ]
